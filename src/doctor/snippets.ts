/** What a site types elsewhere, with its own values in it: at nginx, in the HIS, at the PACS. No secret stands in it. */
import { withoutEnd } from '../dicom/padding.ts'
import type { Config } from '../config/schema.ts'
import { largestOf } from '../numbers.ts'
import { addressTowards, entryAdvice } from './pacs-entry.ts'

export interface Snippet {
  /** Key of the language files: `snippet_nginx` ... */
  name: 'nginx' | 'nginx_key' | 'link_php' | 'link_shell' | 'pacs'
  /** Where it goes: a file, or the name of an archive. */
  where: string
  text: string
}

const CONNECT_TIMEOUT_MS = 2_000
/** What one accession number of a site could look like is the site's. */
const SAMPLE = 'MR.2024.001'

/** @param publicUrl as browsers reach the service, where the configuration does not say it (server.public_url) */
export async function snippetsOf (config: Config, publicUrl: string): Promise<Snippet[]> {
  const base = withoutEnd(config.server.public_url === '' ? publicUrl : config.server.public_url, /\//)
  const entries = await Promise.all(config.archives.filter(({ retrieve }) => retrieve !== 'wado').map(async (archive): Promise<Snippet> => {
    const address = await addressTowards(archive.host, archive.port, CONNECT_TIMEOUT_MS)
    return { name: 'pacs', where: `${archive.name} (${archive.ae_title}, ${archive.host}:${archive.port})`, text: entryAdvice(config, archive, address).join('\n') }
  }))
  return [...entries, ...nginx(config), ...links(base)]
}

function nginx (config: Config): Snippet[] {
  const { server: { host, port }, auth } = config
  const here = ['0.0.0.0', '::', ''].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  // the silence before the first byte: a turn at the PACS, and two moves
  const silenceMs = largestOf(config.archives.map(({ queueTimeoutMs, moveTimeoutMs }) => queueTimeoutMs + 2 * moveTimeoutMs), 0)
  const upstream: Snippet = {
    name: 'nginx',
    where: '/etc/nginx/mkiso/upstream.conf, proxy.conf',
    text: [
      `server ${here}:${port} max_fails=1 fail_timeout=5s;`,
      `proxy_read_timeout ${Math.ceil(silenceMs / 1_000) + 30}s;`,
      `send_timeout ${Math.ceil(config.server.writeTimeoutMs / 1_000)}s;`
    ].join('\n')
  }
  if (auth.keys.length === 0) return [upstream]
  return [upstream, {
    name: 'nginx_key',
    where: '/etc/nginx/mkiso/key.conf',
    text: ['map $http_x_api_key $mkiso_key {', '    ""    "HERE THE KEY, AS IN auth.api_key";', '    default $http_x_api_key;', '}'].join('\n')
  }]
}

function links (base: string): Snippet[] {
  return [{
    name: 'link_php',
    where: 'HIS',
    text: [
      '<?php',
      '// the secret is auth.signed_links.secret; keep it out of what a browser gets to see',
      'function mkiso_link(string $secret, string $accessionNumbers, int $seconds = 3600): string',
      '{',
      '    $expires = time() + $seconds;',
      '    $signature = hash_hmac(\'sha256\', "/download\\n$accessionNumbers\\n$expires", $secret);',
      `    return '${base}/download?' . http_build_query(`,
      '        [\'accession_number\' => $accessionNumbers, \'expires\' => $expires, \'signature\' => $signature], \'\', \'&\', PHP_QUERY_RFC3986);',
      '}'
    ].join('\n')
  }, {
    name: 'link_shell',
    where: 'sh',
    text: [
      `number=${SAMPLE} expires=$(($(date +%s) + 3600))`,
      'signature=$(printf \'/download\\n%s\\n%s\' "$number" "$expires" | openssl dgst -sha256 -hmac "$MKISO_LINK_SECRET" | sed \'s/^.* //\')',
      `echo "${base}/download?accession_number=$number&expires=$expires&signature=$signature"`
    ].join('\n')
  }]
}
