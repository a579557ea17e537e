#!/bin/sh
# Builds the image with buildah, without an engine and, if need be, without a registry of images.
# usage: packaging/build-image.sh [BASE IMAGE, default that of the Dockerfile] [TAG, default localhost/mkiso-server] [TARGET, default the service]
#   CA_DIR=/etc/ssl/certs    the machine's certificates for npm, where a proxy of the site has one of its own
set -eu
cd "$(dirname "$0")/.."
base=${1:-} tag=${2:-localhost/mkiso-server} target=${3:-}
set -- --isolation chroot --format docker --tag "$tag"
[ -z "$base" ] || set -- "$@" --build-arg "NODE_IMAGE=$base"
[ -z "$target" ] || set -- "$@" --target "$target"
[ -z "${CA_DIR:-}" ] || set -- "$@" --volume "$CA_DIR:/etc/ssl/certs:ro" --build-arg NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
exec buildah --storage-driver vfs build "$@" .
