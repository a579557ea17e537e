#!/bin/sh
# Makes mkiso-server_VERSION_all.deb in dist-deb/. Needs node, npm and dpkg-deb; no root.
#   NODE_BINARY=/path/to/node   brings that Node along (and makes the package one of its architecture), for systems whose own is older than 20.19
set -eu
umask 022
cd "$(dirname "$0")/.."
for program in node npm dpkg-deb; do
    command -v "$program" > /dev/null || { echo "$program is missing: apt-get install nodejs npm dpkg" >&2; exit 1; }
done
version=$(node -p 'require("./package.json").version')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$work/source root=$work/root lib=$work/root/usr/lib/mkiso-server

mkdir -p "$source" "$lib" "$root/DEBIAN"
cp -r package.json package-lock.json tsconfig.json tsconfig.build.json scripts src plugins routes viewer "$source"
(cd "$source" && npm ci --ignore-scripts --no-audit --no-fund && npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund)
cp -r "$source/package.json" "$source/node_modules" "$source/dist" "$lib"
rm -f "$lib/dist/.tsbuildinfo"
if [ -n "$(find "$lib/node_modules" -name '*.node' -print -quit)" ]; then echo "a dependency has machine code: the package is not for every architecture" >&2; exit 1; fi

architecture=all node_dependency='nodejs (>= 20.19), '
if [ -n "${NODE_BINARY:-}" ]; then
    install -m 0755 "$NODE_BINARY" "$lib/node"
    architecture=$(dpkg --print-architecture) node_dependency=''
fi

install -D -m 0755 packaging/debian/mkiso "$root/usr/bin/mkiso"
install -D -m 0644 packaging/mkiso.service "$root/usr/lib/systemd/system/mkiso.service"
install -D -m 0644 packaging/debian/sysusers.conf "$root/usr/lib/sysusers.d/mkiso.conf"
install -D -m 0644 packaging/debian/tmpfiles.conf "$root/usr/lib/tmpfiles.d/mkiso.conf"
install -D -m 0644 packaging/debian/logrotate "$root/etc/logrotate.d/mkiso"
mkdir -p "$root/usr/share/mkiso-server" "$root/usr/share/doc/mkiso-server"
# the example, with the places of this package; postinst puts it to /etc/mkiso where there is none, so that an upgrade never asks about it
sed -e 's|^\( *\)#\{0,1\} *temp_dir: .*|\1temp_dir: /var/lib/mkiso|' config/mkiso.example.yaml > "$root/usr/share/mkiso-server/mkiso.yaml"
cp config/mkiso.example.yaml "$root/usr/share/mkiso-server/"
cp -r config/nginx.conf config/nginx "$root/usr/share/mkiso-server/"
cp -r docs/*.md docs/examples docs/monitoring README.md CHANGELOG.md "$root/usr/share/doc/mkiso-server/"
cp LICENSE "$root/usr/share/doc/mkiso-server/copyright"
for script in postinst prerm postrm; do install -m 0755 "packaging/debian/$script" "$root/DEBIAN/$script"; done
printf '%s\n' /etc/logrotate.d/mkiso > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/control" <<CONTROL
Package: mkiso-server
Version: $version
Architecture: $architecture
Maintainer: mkiso-server <root@localhost>
Depends: ${node_dependency}dcmtk, genisoimage, util-linux
Recommends: xorriso, libgdcm-tools, nginx, logrotate
Suggests: stunnel4
Section: net
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f 1)
Description: Discs of DICOM studies, by accession number
 Fetches a study from the PACS and streams it as a disc image with DICOMDIR,
 pages and viewer, or sends it to the CD publisher.
CONTROL
mkdir -p dist-deb
dpkg-deb --root-owner-group --build -Zxz "$root" "dist-deb/mkiso-server_${version}_$architecture.deb"
