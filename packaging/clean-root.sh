#!/bin/sh
# A clean Debian with systemd in a folder, as a new server has it. Needs root and debootstrap.
# usage: packaging/clean-root.sh FOLDER [SUITE, default trixie]
set -eu
folder=$1 suite=${2:-trixie} mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
debootstrap --variant=minbase --include=ca-certificates,systemd,systemd-sysv,dbus,curl,iproute2 "$suite" "$folder" "$mirror"
