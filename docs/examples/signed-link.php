<?php
// A signed link to mkiso-server. On the command line: php signed-link.php BASE PATH ACCESSION[,ACCESSION] [SECONDS]
// PATH is /download (the page), /api/iso/download, /api/iso/download-multiple (a list) or /api/iso/print.
// The secret (auth.signed_links.secret) comes from the environment here; keep it out of what a browser gets to see.

function mkiso_link(string $secret, string $base, string $path, string $accessionNumbers, int $seconds = 3600): string
{
    $expires = time() + $seconds;
    $signature = hash_hmac('sha256', "$path\n$accessionNumbers\n$expires", $secret);
    return $base . $path . '?' . http_build_query([
        'accession_number' => $accessionNumbers,
        'expires' => $expires,
        'signature' => $signature,
    ], '', '&', PHP_QUERY_RFC3986);
}

echo mkiso_link(getenv('MKISO_LINK_SECRET'), $argv[1], $argv[2], $argv[3], (int) ($argv[4] ?? 3600)), "\n";
