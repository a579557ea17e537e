#!/bin/sh
# A signed link to mkiso-server: sh signed-link.sh BASE PATH ACCESSION[,ACCESSION] [SECONDS]
# PATH is /download (the page), /api/iso/download, /api/iso/download-multiple (a list) or /api/iso/print.
# The secret (auth.signed_links.secret) comes from the environment. Note that openssl shows it to other users of
# this machine in its list of processes: take this script for trying out, and PHP or Python for a HIS.
set -eu
base=$1 path=$2 accession_numbers=$3 seconds=${4:-3600}
expires=$(($(date +%s) + seconds))
signature=$(printf '%s\n%s\n%s' "$path" "$accession_numbers" "$expires" | openssl dgst -sha256 -hmac "$MKISO_LINK_SECRET" | sed 's/.*= *//')
encoded=$(printf %s "$accession_numbers" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g')
printf '%s%s?accession_number=%s&expires=%s&signature=%s\n' "$base" "$path" "$encoded" "$expires" "$signature"
