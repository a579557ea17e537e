#!/bin/sh
# A base image for the Dockerfile where no registry of images is at hand: a minimal Debian by debootstrap, and Node from npm's package `node`
# (the official binaries). Needs root, debootstrap, buildah, npm. Then:
#   packaging/build-image.sh localhost/mkiso-base
# usage: packaging/base-image.sh [NAME, default localhost/mkiso-base] [SUITE, default bookworm] [NODE MAJOR, default 24]
set -eu
name=${1:-localhost/mkiso-base} suite=${2:-bookworm} node=${3:-24}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root/debian" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
printf 'deb %s %s-updates main\ndeb http://deb.debian.org/debian-security %s-security main\n' "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" "$suite" "$suite" >> "$root/debian/etc/apt/sources.list"
rm -rf "$root"/debian/var/cache/apt/archives/*.deb "$root"/debian/var/lib/apt/lists/*

# node and npm as the official image has them: in /usr/local, and a user `node`
npm install --prefix "$root/npm" --no-audit --no-fund --no-save "node@$node" npm@11
install -D "$(find "$root/npm/node_modules" -path '*/bin/node' -type f -size +10M | head -n 1)" "$root/debian/usr/local/bin/node"
mkdir -p "$root/debian/usr/local/lib/node_modules"
cp -r "$root/npm/node_modules/npm" "$root/debian/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/debian/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/debian/usr/local/bin/npx"
chroot "$root/debian" useradd --uid 1000 --create-home --shell /bin/sh node
chroot "$root/debian" node --version

container=$(buildah --storage-driver vfs from scratch)
buildah --storage-driver vfs copy --quiet "$container" "$root/debian" /
buildah --storage-driver vfs config --cmd node "$container"
buildah --storage-driver vfs commit --quiet --rm "$container" "$name"
