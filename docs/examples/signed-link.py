"""A signed link to mkiso-server: python3 signed-link.py BASE PATH ACCESSION[,ACCESSION] [SECONDS]

PATH is /download (the page), /api/iso/download, /api/iso/download-multiple (a list) or /api/iso/print.
The secret (auth.signed_links.secret) comes from the environment here.
"""
import hashlib
import hmac
import os
import sys
import time
from urllib.parse import quote, urlencode


def mkiso_link(secret, base, path, accession_numbers, seconds=3600):
    expires = int(time.time()) + seconds
    text = f"{path}\n{accession_numbers}\n{expires}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    query = {"accession_number": accession_numbers, "expires": expires, "signature": signature}
    return f"{base}{path}?{urlencode(query, quote_via=quote)}"


if __name__ == "__main__":
    base, path, accession_numbers, *rest = sys.argv[1:]
    print(mkiso_link(os.environ["MKISO_LINK_SECRET"], base, path, accession_numbers, int(rest[0]) if rest else 3600))
