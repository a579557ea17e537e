#!/bin/bash
# Follows "Try it" of README.md as a newcomer does: in a clean Debian without anything, as it stands there, line by line, each timed with the load of the
# machine beside it. "npm run demo" is ended by Ctrl-C once its page and a disc have been looked at: pictures of both are left in OUTPUT. The first line that
# fails ends it. The clone is of what is committed here. The network is this machine's; its settings of npm (.npmrc, NODE_EXTRA_CA_CERTS) are taken along.
# Needs root, debootstrap, chromium, xorriso, curl, git. Mounts are in a namespace of their own, which goes with the script.
# usage: packaging/follow-readme.sh OUTPUT [SUITE, default trixie] [LAST, default test: clone, demo or test]
set -euo pipefail
if [ "${FOLLOW_README_INSIDE:-}" != yes ]; then
    exec env FOLLOW_README_INSIDE=yes unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$0" "$@"
fi
output=$(realpath -m "$1") suite=${2:-trixie} last=${3:-test}
cd "$(dirname "$0")/.."
checkout=$PWD
mkdir -p "$output"
root=$(mktemp -d /var/tmp/clean-XXXXXX)
demo=
# unmounted first, and removed only within its own file system
cleanup() {
    [ -z "$demo" ] || kill -INT "$demo" 2>/dev/null || true
    for place in dev/shm dev/pts dev proc sys; do umount -l "$root/$place" 2>/dev/null || true; done
    rm -rf --one-file-system "$root"
}
trap cleanup EXIT
# the first process of a namespace is ended by no signal that it does not handle
trap 'exit 130' INT TERM
load() { cut -d ' ' -f 1 /proc/loadavg; }
now() { date +%s.%N; }
say() { printf '%s\n' "$*" | tee -a "$output/steps.txt"; }
took() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.0f s", to - from }'; }

: > "$output/steps.txt"
debootstrap --variant=minbase "$suite" "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" > "$output/debootstrap.log"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
git clone --quiet --bare "$checkout" "$root/srv/mkiso-server.git"
[ ! -e "$HOME/.npmrc" ] || grep -v '^nodedir' "$HOME/.npmrc" > "$root/root/.npmrc" || true
settings=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive)
if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
    mkdir -p "$root/usr/local/etc" && cp "$NODE_EXTRA_CA_CERTS" "$root/usr/local/etc/extra-ca.pem"
    sed -i '/^cafile/d' "$root/root/.npmrc" 2>/dev/null || true
    settings+=(NODE_EXTRA_CA_CERTS=/usr/local/etc/extra-ca.pem NPM_CONFIG_CAFILE=/usr/local/etc/extra-ca.pem)
fi
for name in http_proxy https_proxy no_proxy TZ LANG; do [ -z "${!name:-}" ] || settings+=("$name=${!name}"); done
inside() { chroot "$root" env -i "${settings[@]}" bash -c "cd /root; [ ! -d mkiso-server ] || cd mkiso-server; $1"; }
until_found() {
    local n=0
    until grep -q "$1" "$2"; do
        n=$((n + 1))
        [ $n -lt 6000 ] && kill -0 "$demo" 2>/dev/null || { cat "$2" >&2; return 1; }
        sleep 0.2
    done
}
picture() {
    chromium --headless --no-sandbox --disable-gpu --user-data-dir="$root/tmp/chromium" --window-size=1280,1200 --virtual-time-budget=8000 \
        --screenshot="$output/$1.png" "$2" > "$output/$1.log" 2>&1
}

look_at_demo() {
    local url service folder
    until_found '^Open ' "$output/demo.log"
    url=$(sed -n 's/^Open *//p' "$output/demo.log")
    service=$(sed -n 's/^The service: \([^ ]*\).*/\1/p' "$output/demo.log")
    say "    the page of the demo stands at $url after $(took "$1") (load $(load))"
    picture page "$url"
    curl -fsS -o "$root/tmp/disc.iso" "$service/api/iso/download?accession_number=CT.2024.200"
    folder=$root/tmp/disc
    mkdir "$folder"
    xorriso -osirrox on -indev "$root/tmp/disc.iso" -extract / "$folder" > "$output/disc.log" 2>&1
    picture disc "file://$folder/INDEX.HTM"
    say "    a disc on the screen after $(took "$begin") from the first line on (load $(load))"
}

say "clean Debian: $(inside '. /etc/os-release; echo "$PRETTY_NAME"'), $(nproc) processors"
begin=$(now)
while IFS= read -r line; do
    line=$(printf '%s' "${line%%  #*}" | sed -e 's/ *$//' -e 's|URL-OF-THIS-REPOSITORY|/srv/mkiso-server.git|')
    [ -n "$line" ] || continue
    from=$(now)
    say "\$ $line"
    case $line in
        *'npm run demo'*)
            inside "exec $line" > "$output/demo.log" 2>&1 & demo=$!
            look_at_demo "$from"
            # Ctrl-C; this namespace has no other processes than ours
            kill -INT "$(pgrep -f 'demo/main\.ts' | tail -n 1)"
            wait "$demo" || { say "    failed"; exit 1; }
            demo= ;;
        *)
            log=$output/$(printf '%s' "$line" | tr -c 'a-zA-Z0-9\n' - | cut -c 1-30).log
            inside "$line" > "$log" 2>&1 || { say "    failed: $log"; exit 1; } ;;
    esac
    say "    $(took "$from") (load $(load))"
    case $last:$line in clone:*'git clone'*|demo:*'npm run demo'*|test:*'npm test'*) break ;; esac
done < <(awk '/^## Try it/ { in_section = 1 } in_section && /^```$/ { if (open) exit; open = 1; next } open' README.md)
say "followed to its end: $(took "$begin")"
