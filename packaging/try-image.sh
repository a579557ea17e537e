#!/bin/sh
# Runs the built images without an engine, fetches a disc from the service in its image and looks at it. What an engine would do is done by hand: own mount and
# process namespaces, the image's root read-only with one writable volume, its user, its environment, its entrypoint. The network is the machine's.
# Needs root, buildah, util-linux, curl, xorriso, and the images of packaging/build-image.sh (the service and the target `demo`).
# usage: packaging/try-image.sh [SERVICE IMAGE] [NEIGHBOURS IMAGE]
set -eu
cd "$(dirname "$0")/.."
service=${1:-localhost/mkiso-server} neighbours=${2:-localhost/mkiso-neighbours}
buildah() { command buildah --storage-driver vfs "$@"; }
work=$(mktemp -d) pids= containers=
# the first process in the namespace of an unshare, which itself ignores TERM while it waits
init_of() { pgrep -P "$1"; }
cleanup() {
    for pid in $pids; do kill "$(init_of "$pid")" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    for container in $containers; do buildah umount "$container" >/dev/null; buildah rm "$container" >/dev/null; done
    rm -rf "$work"
}
trap cleanup EXIT
until_ok() { n=0; while ! "$@" >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 300 ] || { echo "gave up: $*" >&2; return 1; }; sleep 0.2; done; }

# in_image MODE ROOT VOLUME COMMAND...: as the user `node`, with only VOLUME writable (MODE ro) or all of it (rw)
in_image() {
    mode=$1 root=$2 volume=$3; shift 3
    exec unshare --mount --pid --fork --kill-child=TERM sh -eu -c '
        mode=$1 root=$2 volume=$3; shift 3
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=755 tmpfs "$root/dev"
        for device in null zero random urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
        ln -s /proc/self/fd "$root/dev/fd"
        mount -t tmpfs -o "mode=700,uid=1000,gid=1000" tmpfs "$root$volume"
        [ "$mode" = rw ] || mount -o remount,bind,ro "$root"
        exec chroot --userspec=node "$root" "$@"' sh "$mode" "$root" "$volume" "$@"
}

container=$(buildah from "$neighbours"); containers=$container
neighbours_root=$(buildah mount "$container")
container=$(buildah from "$service"); containers="$containers $container"
root=$(buildah mount "$container")

mkdir -p "$root/etc/mkiso"
sed 's/neighbours/127.0.0.1/' config/mkiso.demo.yaml > "$root/etc/mkiso/mkiso.yaml"
in_image rw "$neighbours_root" /var/lib/mkiso-demo env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin TMPDIR=/var/lib/mkiso-demo HOME=/home/node \
    sh -c 'cd /app && exec tini -- node --import tsx demo/neighbours.ts 127.0.0.1:10104' > "$work/neighbours.log" 2>&1 & pids="$!"
until_ok grep -q ready "$work/neighbours.log" || { cat "$work/neighbours.log"; exit 1; }
cat "$work/neighbours.log"

in_image ro "$root" /var/lib/mkiso env -i PATH=/usr/local/bin:/usr/bin:/bin NODE_ENV=production MKISO_ISO__TEMP_DIR=/var/lib/mkiso TMPDIR=/var/lib/mkiso \
    MKISO_AUTH__ENABLED=true MKISO_AUTH__API_KEY=a-key-for-trying-it \
    sh -c 'cd /app && exec tini -- node dist/src/main.js --config /etc/mkiso/mkiso.yaml' > "$work/service.log" 2>&1 & pids="$! $pids"
url=http://127.0.0.1:8080
until_ok curl -fs "$url/api/health/live" || { cat "$work/service.log"; exit 1; }
until_ok curl -fs "$url/api/health" || true
curl -s "$url/api/health"; echo
echo "the image's health check:"
chroot "$root" node -e "fetch('$url/api/health/live').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))" && echo "  exit 0"
echo "without the key: $(curl -s -o "$work/answer" -w '%{http_code}' "$url/api/iso/download?accession_number=CT.2024.200") $(cat "$work/answer")"
curl -sf -o "$work/disc.iso" -w '%{http_code} %{size_download} bytes in %{time_total} s\n' -H 'X-API-Key: a-key-for-trying-it' "$url/api/iso/download?accession_number=CT.2024.200"
xorriso -indev "$work/disc.iso" -find / -type f 2>/dev/null | grep -c "/IM0" | sed 's/$/ images on the disc/'
curl -s -H 'X-API-Key: a-key-for-trying-it' "$url/api/iso/print?accession_number=MR.2024.001"; echo
init=$(init_of "${pids%% *}")
echo "processes of the container:"; nsenter -t "$init" -p -m chroot "$root" ps -eo pid,user,args 2>/dev/null || ps -o pid,uid,args --pid "$init" --ppid "$init"
echo "writing outside the volume: $(nsenter -t "$init" -m touch "$root/app/x" 2>&1 | sed "s|$root||" || true)"
kill "$init"
code=0; wait "${pids%% *}" || code=$?
pids=${pids#* }
echo "SIGTERM: exit $code"
