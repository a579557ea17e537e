import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { nameOfKey } from '../../src/auth/keys.ts'
import { accessionPattern } from '../../src/config/accession-pattern.ts'
import { ConfigError, loadConfig, parseConfig } from '../../src/config/load.ts'
import { exampleYaml } from '../../src/config/example.ts'
import { parseDurationMs, parseSizeBytes } from '../../src/config/duration.ts'

const folder = mkdtempSync(join(tmpdir(), 'mkiso-test-config-'))
t.teardown(() => { rmSync(folder, { recursive: true }) })

/** The original design's configuration; only paths and ports are of this machine. */
const ORIGINAL = readFileSync(join(import.meta.dirname, 'original.yaml'), 'utf8').replaceAll('TEMP_DIR', folder)

function faultsOf (text: string, env: Record<string, string> = {}): readonly string[] {
  try {
    parseConfig(text, 'mkiso.yaml', { env })
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

const MINIMAL = `iso: {temp_dir: ${folder}}\n`

t.test('the original configuration loads unchanged', async t => {
  const config = parseConfig(ORIGINAL, 'mkiso.yaml', { env: {} })
  t.equal(config.server.readTimeoutMs, 300_000)
  t.equal(config.archives[0].ae_title, 'ABPACS')
  t.equal(config.our_ae.port_range, 100)
  t.equal(config.our_ae.receiver, 'shared', 'a plain AE title means the shared receiver')
  t.equal(config.patient_api.timeoutMs, 10_000)
  t.equal(config.dcmtk.movescu, '/usr/bin/movescu')
  t.equal(config.dcmtk.findscu, '/usr/bin/findscu', 'a program without a path is found beside movescu')
})

t.test('an empty file means the defaults', async t => {
  const config = parseConfig(MINIMAL, 'mkiso.yaml', { env: {} })
  t.equal(config.server.port, 8080)
  t.equal(config.archives[0].retrieve, 'move')
  t.equal(config.iso.keepForMs, 600_000)
})

t.test('all faults come together, each with its line', async t => {
  const faults = faultsOf(`${MINIMAL}server:
  port: 99999
pacs:
  hots: pacs.example
  port: "11112"
patient_api:
  timeout: soon
`)
  t.strictSame(faults, [
    'mkiso.yaml:3: server.port: 99999 is not a whole number from 0 to 65535',
    'mkiso.yaml:5: unknown key pacs.hots; did you mean host?',
    'mkiso.yaml:6: pacs.port: "11112" is not a whole number from 1 to 65535',
    'mkiso.yaml:8: patient_api.timeout: "soon" is not a duration such as 10s, 5m or 1h30m'
  ])
})

t.test('what each key refuses', async t => {
  const cases: Array<[string, string]> = [
    ['nonsense: 1', 'mkiso.yaml:2: unknown key nonsense'],
    ['pacs: {ae_title: "A\\\\B"}', 'mkiso.yaml:2: pacs.ae_title: "A\\\\B" is not an AE title: 1 to 16 characters, no backslash'],
    ['pacs: {ae_title: ABCDEFGHIJKLMNOPQ}', 'mkiso.yaml:2: pacs.ae_title: "ABCDEFGHIJKLMNOPQ" is not an AE title: 1 to 16 characters, no backslash'],
    ['pacs: {retrieve: push}', 'mkiso.yaml:2: pacs.retrieve: "push" is not one of move, get, wado'],
    ['pacs: no', 'mkiso.yaml:2: pacs: "no" is not a section with keys below it'],
    ['disc: {language: fr}', 'mkiso.yaml:2: disc.language fr: there is no fr.yaml in disc.language_dir, which is not set'],
    ['auth: {enabled: 1}', 'mkiso.yaml:2: auth.enabled: 1 is not true or false'],
    ['iso: {temp_dir: /nowhere}', 'mkiso.yaml:1: iso.temp_dir /nowhere is not a folder in which this user may write'],
    ['patient_api: {base_url: his-server}', 'mkiso.yaml:2: patient_api.base_url: "his-server" is not an address that starts with http:// or https://'],
    ['iso: {volume_id: my disc}', 'mkiso.yaml:1: iso.volume_id: "my disc" is not 1 to 16 characters of A-Z, 0-9 and _'],
    ['dcmtk: {movescu: /nowhere/movescu}', 'mkiso.yaml:2: dcmtk.movescu: there is no program /nowhere/movescu; apt-get install dcmtk, or give its path'],
    ['our_ae: {receiver: per-request}', 'mkiso.yaml:2: our_ae.receiver is per-request and our_ae.port_range is 100, but our_ae.ae_title "CDRECORD" holds no {n}: ' +
      'a PACS maps an AE title to one port, so give ae_title: "CDREC{n}", or receiver: shared, or port_range: 1'],
    ['our_ae: {ae_title: "CDREC{n}", receiver: shared}', 'mkiso.yaml:2: our_ae.ae_title holds {n}, which only receiver: per-request understands'],
    ['our_ae: {ae_title: "CDREC{n}", base_port: 65500}', 'mkiso.yaml:2: our_ae.base_port + our_ae.port_range goes beyond port 65535']
  ]
  for (const [line, fault] of cases) t.strictSame(faultsOf(line.startsWith('iso:') ? line : MINIMAL + line), [fault], line)
})

t.test('a key that everybody knows is refused', async t => {
  t.match(faultsOf(`${MINIMAL}auth: {enabled: true}`), [/auth.api_key is empty while auth.enabled is true/])
  t.match(faultsOf(`${MINIMAL}auth:\n  enabled: true\n  api_key: changeme`), [/^mkiso.yaml:4: auth.api_key is "changeme"/])
  t.strictSame(faultsOf(`${MINIMAL}auth: {enabled: true, api_key: 9f8e7d}`), [])
})

t.test('a key is never in a message', async t => {
  t.notMatch(faultsOf(`${MINIMAL}auth:\n  enabled: true\n  api_key: 12345`).join(), /12345/)
})

t.test('the environment overrides the file, and _FILE reads a secret', async t => {
  const secret = join(folder, 'secret')
  writeFileSync(secret, 'from a file\n')
  const config = parseConfig(`${MINIMAL}pacs:\n  host: one`, 'mkiso.yaml', {
    env: { MKISO_PACS__HOST: 'two', MKISO_PACS__PORT: '104', MKISO_AUTH__ENABLED: 'true', MKISO_AUTH__API_KEY_FILE: secret, MKISO_SERVER__TRUST_PROXY: '10.0.0.1, 10.0.0.2', OTHER: 'x' }
  })
  t.equal(config.archives[0].host, 'two')
  t.equal(config.archives[0].port, 104)
  t.equal(config.auth.enabled, true)
  t.equal(nameOfKey(config.auth.keys, 'from a file'), 'api_key')
  t.strictSame(config.server.trust_proxy, ['10.0.0.1', '10.0.0.2'])
  t.strictSame(faultsOf(MINIMAL, { MKISO_PACS__PORT: 'many', MKISO_PACS__HOTS: 'x', MKISO_AUTH__API_KEY_FILE: '/nowhere' }), [
    'MKISO_PACS__HOTS: unknown key pacs.hots; did you mean host?',
    'MKISO_AUTH__API_KEY_FILE: the file /nowhere cannot be read',
    'MKISO_PACS__PORT: pacs.port: "many" is not a whole number from 1 to 65535'
  ])
})

t.test('what is not YAML is told with its line, and nothing of it is taken', async t => {
  const cases: Array<[string, string, string[]]> = [
    ['a key twice', 'pacs:\n  host: a\n  port: 104\n  host: b\n', ['mkiso.yaml:4: not valid YAML: the key host stands twice']],
    ['each key that stands twice', 'pacs:\n  host: a\n  host: b\nlog: {level: info, level: warn}\npacs:\n  port: 1\n', [
      'mkiso.yaml:3: not valid YAML: the key host stands twice',
      'mkiso.yaml:4: not valid YAML: the key level stands twice',
      'mkiso.yaml:5: not valid YAML: the key pacs stands twice'
    ]],
    ['a key twice, once in quotes', 'pacs: {}\n"pacs": {}\n', ['mkiso.yaml:2: not valid YAML: the key pacs stands twice']],
    ['lines of Windows', 'log: {}\r\niso: {}\r\nlog: {}\r\n', ['mkiso.yaml:3: not valid YAML: the key log stands twice']],
    ['a tab', '# site\npacs:\n\thost: a\n', ['mkiso.yaml:3: not valid YAML: tab characters must not be used in indentation']],
    ['a text in quotes with a tail', 'pacs:\n  port: 104\n  host: "a" b\n', ['mkiso.yaml:3: not valid YAML: bad indentation of a mapping entry']],
    ['a key without its colon', 'pacs:\n  host\n  port: 104\n', ['mkiso.yaml:3: not valid YAML: bad indentation of a mapping entry']],
    ['an alias of nothing', 'pacs:\n  host: *site\n', ['mkiso.yaml:2: not valid YAML: unidentified alias "site"']],
    ['an alias that holds itself', 'pacs: &site\n  tls: *site\n', ['mkiso.yaml:2: not valid YAML: *site stands within &site']],
    ['a second document', 'log: {}\n---\niso: {}\n', ['mkiso.yaml:3: not valid YAML: a second document begins here']],
    ['a tag that nobody knows', 'log: {level: !secret info}\n', ['mkiso.yaml:1: not valid YAML: unknown scalar tag !<!secret>']],
    ['a key that is a list', 'log: {}\n? [a, b]\n: c\n', ['mkiso.yaml:2: not valid YAML: a key must be a text']]
  ]
  for (const [name, text, faults] of cases) t.strictSame(faultsOf(text), faults, name)
  const bomb = ['a: &a [x, x]', ...Array.from({ length: 30 }, (_, n) => `b${n}: &b${n} [${Array.from({ length: 9 }, () => n === 0 ? '*a' : `*b${n - 1}`).join(', ')}]`)]
  t.match(faultsOf(bomb.join('\n')), [/not valid YAML: .*alias/], 'aliases of aliases do not grow without end')
  t.match(faultsOf('['.repeat(10_000)), [/^mkiso.yaml:1: not valid YAML/], 'nor do lists in lists')
})

t.test('an anchor is used again', async t => {
  const config = parseConfig(`${MINIMAL}pacs:\n  host: &host pacs.example\ncd_publisher:\n  host: *host\n`, 'mkiso.yaml', { env: {} })
  t.equal(config.cd_publisher.host, 'pacs.example')
  t.strictSame(faultsOf(`${MINIMAL}server: &x\n  port: 99999\npacs: *x\n`), [
    'mkiso.yaml:3: server.port: 99999 is not a whole number from 0 to 65535',
    'mkiso.yaml:4: pacs.port: 99999 is not a whole number from 1 to 65535'
  ], 'what stands behind an alias is told where the alias stands')
})

t.test('what YAML 1.1 took for something else is what it looks like', async t => {
  for (const directive of ['', '%YAML 1.1\n---\n']) {
    const config = parseConfig(`${directive}${MINIMAL}
pacs: {ae_title: NO, host: on, port: 0104}
disc: {institution: 2024-05-06, contact: 12:30:45, privacy_note: "no"}
`, 'mkiso.yaml', { env: {} })
    t.equal(config.archives[0].ae_title, 'NO')
    t.equal(config.archives[0].host, 'on')
    t.equal(config.archives[0].port, 104, 'a port with a zero before it is not octal')
    t.equal(config.disc.institution, '2024-05-06', 'a date is a text')
    t.equal(config.disc.contact, '12:30:45', 'a time is not a number of base 60')
    t.strictSame(faultsOf(`${directive}${MINIMAL}auth: {enabled: yes}\nserver: {port: 8_080}\n`).map(fault => fault.replace(/^mkiso.yaml:\d+/, '')), [
      ': auth.enabled: "yes" is not true or false',
      ': server.port: "8_080" is not a whole number from 0 to 65535'
    ], 'yes is not taken for true, nor an underscore for nothing')
  }
})

t.test('a duration or a size of 0 needs neither unit nor quotes; any other number needs its unit', async t => {
  for (const zero of ['0', '"0"', "'0'", '0s']) {
    t.equal(parseConfig(`iso: {temp_dir: ${folder}, keep_for: ${zero}}`, 'mkiso.yaml', { env: {} }).iso.keepForMs, 0, `keep_for: ${zero}`)
  }
  for (const zero of ['0', '"0"', '0G']) {
    const config = parseConfig(`iso: {temp_dir: ${folder}, disk_reserve: ${zero}}\nour_ae: {max_unwanted: ${zero}}`, 'mkiso.yaml', { env: {} })
    t.equal(config.iso.diskReserveBytes, 0, `disk_reserve: ${zero}`)
    t.equal(config.our_ae.maxUnwantedBytes, 0, `max_unwanted: ${zero}`)
  }
  t.equal(parseConfig(`${MINIMAL}auth: {signed_links: {max_age: 0}}`, 'mkiso.yaml', { env: {} }).auth.signedLinks, undefined, 'in a section of a section')
  t.equal(parseConfig(MINIMAL, 'mkiso.yaml', { env: { MKISO_ISO__KEEP_FOR: '0' } }).iso.keepForMs, 0, 'and from the environment')
  t.strictSame(faultsOf(`iso: {temp_dir: ${folder}, keep_for: 10, disk_reserve: 5}\n`), [
    'mkiso.yaml:1: iso.keep_for: 10 is not a duration such as 10s, 5m or 1h30m',
    'mkiso.yaml:1: iso.disk_reserve: 5 is not a size such as 500M or 20G'
  ])
})

t.test('a fault within a list is told with its own line', async t => {
  t.strictSame(faultsOf(`${MINIMAL}auth:\n  keys:\n    - name: his\n      key: secret\n    - name: "a b"\n      key: other\n`), [
    'mkiso.yaml:6: auth.keys.1.name: the value is not a name of 1 to 64 letters, digits, dots, hyphens and underscores'
  ])
})

t.test('a file that is not there, or not YAML', async t => {
  t.throws(() => loadConfig('/nowhere/mkiso.yaml'), { message: '/nowhere/mkiso.yaml: cannot be read (ENOENT); give its path with --config' })
  t.match(faultsOf('pacs:\n  host: [a\n'), [/^mkiso.yaml:\d: not valid YAML/])
  t.match(faultsOf('just text'), [/must hold sections/])
})

t.test('durations and sizes', async t => {
  t.equal(parseDurationMs('1h30m'), 5_400_000)
  t.equal(parseDurationMs('500ms'), 500)
  t.equal(parseDurationMs('0'), 0)
  t.equal(parseDurationMs('10'), undefined)
  t.equal(parseDurationMs('-1s'), undefined)
  t.equal(parseSizeBytes('20G'), 20 * 1024 ** 3)
  t.equal(parseSizeBytes('700 MB'), 700 * 1024 ** 2)
  t.equal(parseSizeBytes('x'), undefined)
})

t.test('associations at the PACS: those of the moves and four for queries, or what is set', async t => {
  const associations = (text: string): number => parseConfig(`${MINIMAL}pacs: {${text}}`, 'mkiso.yaml', { env: {} }).archives[0].maxAssociations
  t.equal(associations(''), 8)
  t.equal(associations('max_moves: 16'), 20, 'a file from before has what it had')
  t.equal(associations('max_moves: 16, max_associations: 1'), 1, 'fewer than moves is no fault')
})

t.test('the example holds every key, loads, and is what the schema says', async t => {
  const example = readFileSync(join(import.meta.dirname, '../../config/mkiso.example.yaml'), 'utf8')
  t.equal(example, exampleYaml(), 'npx tsx scripts/example-config.ts writes it anew')
  const config = parseConfig(example, 'mkiso.example.yaml', { env: {} })
  const everything = example.replace(/^ {2}#([a-z_]+:)/gm, '  $1').replace(/^ {2}(receiver|pretty|tls|dicomweb|max_associations|enabled):$/gm, '')
  t.strictSame(parseConfig(everything, 'all.yaml', { env: {} }), config, 'what is commented out is the default')
})

t.test('an archive that speaks DICOMweb', async t => {
  const load = (pacs: Record<string, unknown>, env: Record<string, string> = {}) => parseConfig(JSON.stringify({ iso: { temp_dir: '/tmp' }, pacs }), 'mkiso.yaml', { env })
  const url = 'https://pacs.example:8443/dicom-web'
  const wado = (dicomweb: Record<string, unknown>, more: Record<string, unknown> = {}) => ({ retrieve: 'wado', dicomweb: { url, ...dicomweb }, ...more })
  t.match(load(wado({})).archives, [{ name: 'pacs.example:8443', retrieve: 'wado', dicomweb: { url, verify: true, page_size: 200, token: '' } }])
  t.match(load({}, { MKISO_PACS__RETRIEVE: 'wado', MKISO_PACS__DICOMWEB__URL: url, MKISO_PACS__DICOMWEB__TOKEN: 'x' }).archives, [{ dicomweb: { url, token: 'x' } }], 'from the environment')
  const noTools = { findscu: '/nowhere/findscu', movescu: '/nowhere/movescu', echoscu: '/nowhere/echoscu', dcmsend: '/nowhere/dcmsend' }
  t.doesNotThrow(() => parseConfig(JSON.stringify({ iso: { temp_dir: '/tmp' }, pacs: wado({}), dcmtk: noTools }), 'mkiso.yaml', { env: {} }), 'no program of DCMTK is vital')
  const cases: Array<[Record<string, unknown>, RegExp]> = [
    [{ retrieve: 'wado' }, /pacs\.retrieve is wado, but pacs\.dicomweb\.url is not set/],
    [{ dicomweb: { url } }, /pacs\.dicomweb is set, but pacs\.retrieve is move/],
    [wado({ url: 'pacs.example' }), /pacs\.dicomweb\.url: "pacs\.example" is not an address that starts with http/],
    [wado({ url: 'https://me:pw@pacs.example/' }), /pacs\.dicomweb\.url holds a user name or password/],
    [wado({ url: `${url}?a=b` }), /holds a "\?" or a "#"/],
    [wado({ token: 'two words' }), /pacs\.dicomweb\.token holds a blank/],
    [wado({ token: 'x', username: 'me' }), /a request proves who we are in one way/],
    [wado({ token: 'x', token_file: import.meta.filename }), /token_file and token are both set/],
    [wado({ username: 'me', password: 'x', password_file: import.meta.filename }), /password_file and password are both set/],
    [wado({ password: 'x' }), /username is empty, but there is a password/],
    [wado({ username: 'a:b', password: 'x' }), /holds a colon/],
    [wado({ token_file: '/nowhere/token' }), /token_file \/nowhere\/token cannot be read/],
    [wado({ cert: import.meta.filename }), /cert and key go together/],
    [wado({ url: 'http://pacs.example/dicom-web', ca: import.meta.filename }), /is not https, but certificates are given/],
    [wado({}, { tls: { verify: false } }), /pacs\.tls is for DICOM over TLS/],
    [wado({ page: 3 }), /unknown key pacs\.dicomweb\.page/]
  ]
  for (const [pacs, fault] of cases) {
    try {
      load(pacs)
      t.fail(JSON.stringify(pacs))
    } catch (error) { t.match(error instanceof ConfigError && error.faults, [fault], JSON.stringify(pacs)) }
  }
  t.match(parseConfig(JSON.stringify({ iso: { temp_dir: '/tmp' }, archives: [{ name: 'main' }, { name: 'cloud', ...wado({}) }] }), 'mkiso.yaml', { env: {} }).archives, [{ name: 'main' }, { name: 'cloud', section: 'archives.1' }])
})

t.test('several archives: each a whole pacs section with a name', async t => {
  const text = `${MINIMAL}archives:
  - name: main
    host: one
    max_moves: 8
  - name: old
    host: two
    ae_title: OLD
    retrieve: get
    idle_timeout: 0
    accession_pattern: "OLD[0-9]{6}|[0-9]{4,8}"
    optional: true
`
  const { archives } = parseConfig(text, 'mkiso.yaml', { env: {} })
  t.match(archives, [
    { name: 'main', section: 'archives.0', host: 'one', ae_title: 'ABPACS', retrieve: 'move', maxAssociations: 12, queueTimeoutMs: 120_000, optional: false },
    { name: 'old', section: 'archives.1', host: 'two', ae_title: 'OLD', retrieve: 'get', idleTimeoutMs: 0, optional: true }
  ])
  const [main, old] = archives
  t.equal(main.accessionPattern, undefined)
  t.strictSame(['OLD123456', '1234', 'XOLD123456', 'OLD1234567', '123456789', ''].map(number => old?.accessionPattern?.test(number)), [true, true, false, false, false, false])
  t.match(parseConfig(MINIMAL, 'mkiso.yaml', { env: {} }).archives, { length: 1, 0: { name: 'ABPACS', section: 'pacs' } }, 'the one of the pacs section has its AE title for a name')

  const env = parseConfig(text, 'mkiso.yaml', { env: { MKISO_ARCHIVES__1__HOST: 'elsewhere', MKISO_ARCHIVES__2__NAME: 'third', MKISO_ARCHIVES__2__AE_TITLE: 'THREE', MKISO_ARCHIVES__2__TLS__VERIFY: 'false', MKISO_ARCHIVES__2__TLS__INCOMING: 'plain' } })
  t.match(env.archives, { length: 3, 1: { host: 'elsewhere' }, 2: { name: 'third', section: 'archives.2', tls: { verify: false } } }, 'from the environment too')
  t.match(parseConfig(MINIMAL, 'mkiso.yaml', { env: { MKISO_ARCHIVES__1__NAME: 'b', MKISO_ARCHIVES__1__AE_TITLE: 'B', MKISO_ARCHIVES__0__NAME: 'a' } }).archives, { length: 2, 0: { name: 'a' }, 1: { name: 'b' } })
})

t.test('faults of several archives', async t => {
  for (const [text, ...faults] of [
    ['pacs: {host: x}\narchives: [{name: main}]', 'mkiso.yaml:3: archives and pacs are both given: move what stands below pacs into an entry of archives, with a name'],
    ['archives:\n  - host: x', 'mkiso.yaml:3: archives.0.name: undefined is not a name of 1 to 32 letters, digits, dots, hyphens and underscores'],
    ['archives:\n  - name: a\n    hots: x', 'mkiso.yaml:4: unknown key archives.0.hots; did you mean host?'],
    ['archives:\n  - name: a\n  - name: b\n    ae_title: X\n    port: x', 'mkiso.yaml:6: archives.1.port: "x" is not a whole number from 1 to 65535'],
    ['archives:\n  - name: a\n    ae_title: X\n  - name: A', 'mkiso.yaml:5: archives.1.name: the name A is there twice'],
    ['archives:\n  - {name: a, optional: true}\n', 'mkiso.yaml:2: archives: every one is optional, so that a study would be missing without a word where none answers: set optional: false for one'],
    ['archives:\n  - name: a\n  - name: b', 'mkiso.yaml:4: archives.1.ae_title: b and a have the same AE title, by which the one receiver tells who sends: ' +
      'give one of them another, or retrieve: get, or our_ae.receiver: per-request'],
    ['archives:\n  - name: a\n    tls: {}', 'mkiso.yaml:4: archives.0.tls.ca is empty: give the certificates that the peer is checked against, or verify: false',
      'mkiso.yaml:4: archives.0.tls.cert is empty: the receiver needs a certificate and its key, or archives.0.tls.incoming: plain']
  ] as const) t.strictSame(faultsOf(`${MINIMAL}${text}`), faults, text)
  t.match(faultsOf(`${MINIMAL}archives: [{name: a, tls: {verify: false, cert: /etc/hostname, key: /etc/hostname}}, {name: b, ae_title: B}]`), [/archives\.0\.tls and archives\.1\.tls: both send to the one receiver/])
  t.strictSame(faultsOf(`${MINIMAL}our_ae: {ae_title: "CD{n}"}\narchives: [{name: a, tls: {verify: false, cert: /etc/hostname, key: /etc/hostname}}, {name: b, ae_title: B}]`), [], 'a receiver for each')
  t.match(faultsOf(`${MINIMAL}archives: [{name: a, tls: {verify: false, incoming: plain}}, {name: b, ae_title: B}]`), [], 'both plain')
  t.strictSame(faultsOf(MINIMAL, { MKISO_ARCHIVES__0__HOTS: 'x', MKISO_SERVER__TRUST_PROXY__0: '10.0.0.1' }), [
    'MKISO_ARCHIVES__0__HOTS: unknown key archives.0.hots; did you mean host?', 'MKISO_SERVER__TRUST_PROXY__0: unknown key server.trust_proxy.0'
  ])
})

t.test('a pattern for accession numbers is for the whole number, and none runs for long', async t => {
  for (const [pattern, yes, no] of [
    ['CARD[0-9]{6}', 'CARD123456', 'XCARD123456'], ['\\d+-\\w{2}', '12-AB', '12-ABC'], ['A.*|B', 'A', 'AB\n'], ['[^-]+', 'x', 'a-b'], ['A\\.B', 'A.B', 'AxB'], ['\\|', '|', '']
  ] as const) {
    const expression = accessionPattern(pattern)
    t.ok(expression instanceof RegExp && expression.test(yes) && !expression.test(no), pattern)
  }
  for (const pattern of ['(a+)+', '(a|a)*', 'a**', 'a*?', 'a+b+c+d+', '^a', 'a$', 'a|', '|a', '[', ']', 'a{', '\\1', '(?=a)', '\\p{L}', '[b-a]', 'x'.repeat(201)]) {
    t.type(accessionPattern(pattern), 'string', pattern)
  }
  // what is let through takes no time that anybody could notice: the worst that it lets through
  const worst = accessionPattern('[a-z]*[a-z]*[a-z]*0')
  const startedAt = process.cpuUsage()
  t.equal(worst instanceof RegExp && worst.test('a'.repeat(64)), false)
  t.ok(process.cpuUsage(startedAt).user < 1_000_000)
})
