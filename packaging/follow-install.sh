#!/bin/bash
# Follows docs/install.md: boots the folder of packaging/clean-root.sh with its own systemd (systemd-nspawn, the machine's network) and runs every block of the
# page that is marked `sh`, in order, line by line, until one fails. The neighbours (Orthanc with samples, HIS, publisher) run on this machine.
# Needs root, systemd-container, node with the checkout's node_modules, and the package in dist-deb/.
# usage: packaging/follow-install.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 pids=()
work=$(mktemp -d)
cleanup() {
    [ -z "${init:-}" ] || kill -s RTMIN+4 "$init" 2>/dev/null || true    # systemd: power off
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    rm -rf "$work"
}
trap cleanup EXIT
until_ok() { local n=0; while ! "$@" >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 600 ] || { echo "gave up: $*" >&2; return 1; }; sleep 0.2; done; }
inside() { nsenter -t "$init" -m -u -i -p -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

node --import tsx demo/neighbours.ts 127.0.0.1:10104 > "$work/neighbours.log" 2>&1 & pids+=($!)
systemd-nspawn -D "$folder" --register=no --keep-unit --console=pipe -b < /dev/null > "$work/boot.log" 2>&1 & nspawn=$!
until_ok pgrep -P "$nspawn"
init=$(pgrep -P "$nspawn")
until_ok inside systemctl is-system-running --wait || true
echo "systemd in the clean root: $(inside systemctl is-system-running || true), $(inside sh -c '. /etc/os-release; echo "$PRETTY_NAME"')"
until_ok grep -q ready "$work/neighbours.log"

cp dist-deb/mkiso-server_*_all.deb "$folder/root/"
# the blocks, with the values of this site
awk '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > sprintf("'"$work"'/block-%02d", n) }' docs/install.md
for block in "$work"/block-*; do
    sed -i -e 's/ABPACS/ORTHANC/; s/10\.0\.0\.5/127.0.0.1/; s/10\.0\.0\.6/127.0.0.1:8090/; s/10\.0\.0\.7/127.0.0.1/; s/port: 104$/port: 11113/' "$block"
    echo "=== $(basename "$block")"
    inside bash -ev < "$block" || { echo "=== failed: $(basename "$block")"; exit 1; }
    echo
done
echo "=== followed to its end"
inside systemd-analyze security --no-pager mkiso.service | tail -n 1
