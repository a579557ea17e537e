#!/bin/sh
# Before nginx starts in its container: /etc/nginx/mkiso from config/nginx, with the service's name and the key from the secret, so that the
# key stands in one file only.
set -eu
source=${MKISO_NGINX_SOURCE:-/etc/mkiso-nginx} target=${MKISO_NGINX_TARGET:-/etc/nginx/mkiso} secret=${MKISO_SECRET:-/run/secrets/mkiso_api_key}
log=${MKISO_NGINX_LOG:-/var/log/nginx/mkiso.log}
rm -rf "$target"
cp -r "$source" "$target"
sed -i "s/server 127\.0\.0\.1:8080/server ${MKISO_SERVICE:-mkiso:8080}/" "$target/upstream.conf"
if [ -s "$secret" ]; then
    key=$(head -n 1 "$secret")
    case $key in *[!A-Za-z0-9._~+/=-]*) echo "mkiso: the key may have letters, digits and . _ ~ + / = - only" >&2; exit 1 ;; esac
    umask 077
    sed "s|# \"\" .*|\"\" \"$key\";|" "$source/key.conf" > "$target/key.conf"
fi
ln -sf /dev/stdout "$log"
