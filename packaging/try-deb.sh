#!/bin/sh
# Looks into the package that build-deb.sh has made, unpacks it into a folder of its own, and starts the service from there: nothing is installed, no root.
# Needs dpkg-deb, node, curl, dcmtk and genisoimage.
# usage: packaging/try-deb.sh [FILE]
set -eu
cd "$(dirname "$0")/.."
package=${1:-$(ls -t dist-deb/mkiso-server_*.deb | head -n 1)}
work=$(mktemp -d) service=
trap '[ -z "$service" ] || { kill "$service" 2>/dev/null || true; wait "$service" || true; }; rm -rf "$work"' EXIT
dpkg-deb --contents "$package" > "$work/contents"
for path in usr/bin/mkiso usr/lib/systemd/system/mkiso.service usr/lib/mkiso-server/dist/src/main.js usr/lib/mkiso-server/dist/src/disc/viewer/assets/viewer.js \
    usr/lib/mkiso-server/dist/src/http/screens/download.eta usr/lib/mkiso-server/node_modules/fastify/package.json usr/share/mkiso-server/mkiso.yaml usr/share/mkiso-server/nginx.conf; do
    grep -q " ./$path\$" "$work/contents" || { echo "$package lacks $path" >&2; exit 1; }
done
if grep -q 'node_modules/tap/' "$work/contents"; then echo "$package carries what only the tests need" >&2; exit 1; fi
dpkg-deb --extract "$package" "$work/root"
main=$work/root/usr/lib/mkiso-server/dist/src/main.js
mkdir "$work/state"
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
export MKISO_ISO__TEMP_DIR="$work/state" MKISO_RELAY__STATE_DIR="$work/state" MKISO_SERVER__HOST=127.0.0.1 MKISO_SERVER__PORT="$port" MKISO_OUR_AE__BASE_PORT=$((port < 60000 ? port + 1 : port - 1))
node "$main" --config "$work/root/usr/share/mkiso-server/mkiso.yaml" --check-config
node "$main" serve --config "$work/root/usr/share/mkiso-server/mkiso.yaml" > "$work/log" 2>&1 & service=$!
tries=0
until curl -fsS "http://127.0.0.1:$port/api/health/live" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] && kill -0 "$service" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
curl -fsS -o /dev/null "http://127.0.0.1:$port/status"
echo
echo "$package: $(wc -l < "$work/contents") entries, starts unpacked"
