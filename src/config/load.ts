/**
 * Reads the configuration: YAML file, then environment, then defaults, then checks. All faults are reported together, each with the
 * line or the variable that it stands in, so that an administrator mends a file once.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import proxyAddr from '@fastify/proxy-addr'
import { FormatRegistry, Kind, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { accessionPattern } from './accession-pattern.ts'
import { readKeys } from './keys.ts'
import { loadLanguage } from '../language/language.ts'
import { isAddressOrNetwork } from '../addresses.ts'
import { readYaml } from '../yaml.ts'
import { parseDurationMs, parseSizeBytes } from './duration.ts'
import { ConfigSchema, SECRET_MIN_LENGTH, type ArchiveSettings, type Config, type RawConfig } from './schema.ts'

FormatRegistry.Set('duration', value => parseDurationMs(value) !== undefined)
FormatRegistry.Set('size', value => parseSizeBytes(value) !== undefined)
FormatRegistry.Set('http-url', value => {
  try { return ['http:', 'https:'].includes(new URL(value).protocol) } catch { return false }
})

const ENVIRONMENT_PREFIX = 'MKISO_'

/** Every fault of a configuration, one line each. */
export class ConfigError extends Error {
  readonly faults: readonly string[]
  constructor (faults: readonly string[]) {
    super(faults.join('\n'))
    this.name = 'ConfigError'
    this.faults = faults
  }
}

type Tree = Record<string, unknown>

/** Where a key was set, for the message: `mkiso.yaml:12` or `MKISO_PACS__PORT`. */
type Origins = Map<string, string>

export interface LoadOptions {
  env?: Record<string, string | undefined>
}

/**
 * @param file path of the YAML file
 * @throws ConfigError with one line a fault
 */
export function loadConfig (file: string, options: LoadOptions = {}): Config {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ConfigError([`${file}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'error'}); give its path with --config`])
  }
  return parseConfig(text, file, options)
}

/** As {@link loadConfig}, for a text. */
export function parseConfig (text: string, file: string, { env = process.env }: LoadOptions = {}): Config {
  const faults: string[] = []
  const origins: Origins = new Map()
  const document = readYaml(text)
  if (document.faults.length > 0) throw new ConfigError(document.faults.map(fault => `${file}:${fault.line}: not valid YAML: ${fault.text}`))
  const content = document.content ?? {}
  if (!isTree(content)) throw new ConfigError([`${file}:1: must hold sections such as "pacs:"`])
  for (const [path, line] of document.lines) origins.set(path, `${file}:${line}`)
  fillIn(content, ConfigSchema)
  applyEnvironment(content, env, origins, faults)
  const pacsGiven = isTree(content['pacs']) && Object.keys(content['pacs']).length > 0
  const both = pacsGiven && Array.isArray(content['archives']) && content['archives'].length > 0

  const where = (path: string[]): string => {
    for (let length = path.length; length > 0; length--) {
      const origin = origins.get(path.slice(0, length).join('.'))
      if (origin !== undefined) return origin
    }
    return file
  }
  const completed = Value.Default(ConfigSchema, content)
  const reported = new Set<string>()
  if (both) faults.push(`${where(['archives'])}: archives and pacs are both given: move what stands below pacs into an entry of archives, with a name`)
  for (const fault of Value.Errors(ConfigSchema, completed)) {
    const path = fault.path.split('/').slice(1)
    const name = path.join('.')
    if (reported.has(name)) continue
    reported.add(name)
    faults.push(`${where(path)}: ${describeFault(name, path, fault.schema, fault.value, fault.message)}`)
  }
  const at = (name: string): string => where(name.split('.'))
  checkTogether(completed, reported, at, faults)
  if (faults.length > 0) throw new ConfigError(faults.sort(byLine))
  return finish(Value.Decode(ConfigSchema, completed), faults, at)
}

function isTree (value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A section that is written but left empty means its defaults; a duration or a size of 0 needs neither unit nor quotes. */
function fillIn (tree: Tree, schema: Record<string, unknown>): void {
  const properties = (schema['properties'] ?? {}) as Record<string, TSchema>
  for (const [name, inner] of Object.entries(properties)) {
    const value = tree[name]
    if (value === 0 && (inner['format'] === 'duration' || inner['format'] === 'size')) tree[name] = '0'
    if (Array.isArray(value)) for (const item of value) if (isTree(item)) fillIn(item, itemsOf(inner) ?? {})
    if (inner['type'] !== 'object') continue
    if (value === null) tree[name] = {}
    else if (isTree(value)) fillIn(value, inner)
  }
}

/** `MKISO_PACS__HOST=x`; `MKISO_AUTH__API_KEY_FILE=/run/secrets/key` reads the value from a file, without its last newline. */
function applyEnvironment (content: Tree, env: Record<string, string | undefined>, origins: Origins, faults: string[]): void {
  for (const [variable, given] of Object.entries(env)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || given === undefined || !variable.includes('__')) continue
    const path = variable.slice(ENVIRONMENT_PREFIX.length).toLowerCase().split('__')
    const last = path.pop() ?? ''
    const keys = propertiesAt(path)
    const fromFile = !(last in keys) && last.endsWith('_file')
    const key = fromFile ? last.slice(0, -'_file'.length) : last
    const schema = keys[key]
    const name = [...path, key].join('.')
    if (schema === undefined) {
      faults.push(`${variable}: unknown key ${name}${suggestion(key, Object.keys(keys))}`)
      continue
    }
    let value = given
    if (fromFile) {
      try {
        value = readFileSync(given, 'utf8').replace(/\r?\n$/, '')
      } catch {
        faults.push(`${variable}: the file ${given} cannot be read`)
        continue
      }
    }
    const section = sectionAt(content, path)
    // a section that is not a map is reported by the schema
    if (section === undefined) continue
    section[key] = fromText(value, schema)
    origins.set(name, variable)
  }
}

/** The keys of a section, of sections within sections too; none where there is no such section. */
function propertiesAt (path: readonly string[]): Record<string, TSchema> {
  let schema: TSchema | undefined = ConfigSchema
  for (const name of path) schema = /^\d+$/.test(name) ? itemsOf(schema) : (schema?.['properties'] as Record<string, TSchema> | undefined)?.[name]
  return (schema?.['properties'] as Record<string, TSchema> | undefined) ?? {}
}

/** What stands in a list; undefined for what is none, and for a list of texts. */
function itemsOf (schema: Record<string, unknown> | undefined): TSchema | undefined {
  const items = schema?.['type'] === 'array' ? schema['items'] as TSchema | undefined : undefined
  return items?.['type'] === 'object' ? items : undefined
}

/** Entries of a list that the environment may make. */
const MOST_ENTRIES = 100

/**
 * The section of the tree, made where it is not yet there; undefined where something else stands in its place. In a list a number is an entry, from
 * 0 on; those before it are made too, and are told to lack what they must hold.
 */
function sectionAt (content: Tree, path: readonly string[]): Tree | undefined {
  let section: Tree | unknown[] = content
  for (const [index, name] of path.entries()) {
    const followedByNumber = /^\d+$/.test(path[index + 1] ?? '')
    const inner: unknown = (Array.isArray(section) ? section[Number(name)] : section[name]) ?? (followedByNumber ? [] : {})
    if (Array.isArray(inner) ? !followedByNumber : !isTree(inner) || followedByNumber) return undefined
    if (Array.isArray(section)) {
      if (Number(name) >= MOST_ENTRIES) return undefined
      while (section.length <= Number(name)) section.push({})
      section[Number(name)] = inner
    } else section[name] = inner
    section = inner as Tree | unknown[]
  }
  return Array.isArray(section) ? undefined : section
}

/** An environment variable is text; the schema says what it means. What does not convert stays text and is reported as such. */
function fromText (value: string, schema: TSchema): unknown {
  const type: unknown = schema['type']
  if (type === 'array') return value.split(',').map(item => item.trim()).filter(item => item !== '')
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  if ((type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?$/.test(value)) return Number(value)
  return value
}

function describeFault (name: string, path: string[], schema: TSchema, value: unknown, message: string): string {
  if (schema[Kind] === 'Never' || message === 'Unexpected property') {
    return `unknown key ${name}${suggestion(path.at(-1) ?? '', Object.keys(propertiesAt(path.slice(0, -1))))}`
  }
  const shown = /^auth(?:$|\.signed_links)|key|token|secret|password/.test(name) ? 'the value' : JSON.stringify(value)
  return `${name}: ${shown} is not ${expected(schema)}`
}

function expected (schema: TSchema): string {
  if (typeof schema['patternMeaning'] === 'string') return schema['patternMeaning']
  if (Array.isArray(schema['choices'])) return `one of ${schema['choices'].join(', ')}`
  if (schema['format'] === 'duration') return 'a duration such as 10s, 5m or 1h30m'
  if (schema['format'] === 'size') return 'a size such as 500M or 20G'
  if (schema['format'] === 'http-url') return 'an address that starts with http:// or https://'
  switch (schema['type']) {
    case 'integer': return `a whole number from ${String(schema['minimum'])} to ${String(schema['maximum'])}`
    case 'boolean': return 'true or false'
    case 'object': return 'a section with keys below it'
    case 'array': return 'a list'
    default: return 'a text (put it in quotes)'
  }
}

function suggestion (word: string, known: string[]): string {
  const near = known.map(candidate => ({ candidate, distance: editDistance(word, candidate) }))
    .filter(({ distance }) => distance <= Math.min(3, Math.max(1, Math.floor(word.length / 2))))
    .sort((a, b) => a.distance - b.distance)[0]
  return near === undefined ? '' : `; did you mean ${near.candidate}?`
}

/** Levenshtein's distance: for "did you mean", over words of a few letters. */
function editDistance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** Rules over several keys, and what must exist on this machine. A key that is already at fault is not judged again. */
function checkTogether (tree: unknown, reported: Set<string>, at: (name: string) => string, faults: string[]): void {
  const sound = (...names: string[]): boolean => !names.some(name => reported.has(name) || reported.has(name.split('.')[0] ?? ''))
  const config = tree as RawConfig
  if (sound('desk.enabled', 'auth.enabled', 'audit.user_header') && config.desk.enabled === true && !config.auth.enabled && config.audit.user_header === '') {
    faults.push(`${at('desk.enabled')}: desk.enabled is true while auth.enabled is false: whoever reaches it would find every patient. Set auth.enabled, or audit.user_header and a login at nginx`)
  }
  if (!reported.has('auth') && ![...reported].some(name => name.startsWith('auth.'))) checkAuth(config.auth, at, faults)
  if (sound('our_ae.ae_title', 'our_ae.receiver', 'our_ae.base_port', 'our_ae.port_range')) {
    const { ae_title: title, receiver, base_port: basePort, port_range: range } = config.our_ae
    const numbered = title.includes('{n}')
    if (receiver === 'per-request' && !numbered && range > 1) {
      faults.push(`${at('our_ae.receiver')}: our_ae.receiver is per-request and our_ae.port_range is ${range}, but our_ae.ae_title ${JSON.stringify(title)} holds no {n}: ` +
        'a PACS maps an AE title to one port, so give ae_title: "CDREC{n}", or receiver: shared, or port_range: 1')
    }
    if (receiver === 'shared' && numbered) {
      faults.push(`${at('our_ae.ae_title')}: our_ae.ae_title holds {n}, which only receiver: per-request understands`)
    }
    if (numbered && title.replaceAll('{n}', String(range - 1)).length > 16) {
      faults.push(`${at('our_ae.ae_title')}: our_ae.ae_title with the number ${range - 1} is longer than 16 characters`)
    }
    if ((numbered || receiver === 'per-request') && basePort + range - 1 > 65_535) {
      faults.push(`${at('our_ae.port_range')}: our_ae.base_port + our_ae.port_range goes beyond port 65535`)
    }
  }
  const archivesSound = ![...reported].some(name => name.startsWith('archives') || name.startsWith('pacs'))
  if (archivesSound) {
    checkArchives(config, at, faults)
    for (const archive of sectionsOf(config)) checkDicomweb(archive, at, faults)
  }
  if (archivesSound && sound('cd_publisher', 'cd_publisher.tls', 'tools.stunnel') && ![...reported].some(name => name.includes('.tls.'))) checkTls(config, at, faults)
  if (sound('our_ae.allow_from')) {
    for (const address of config.our_ae.allow_from) {
      if (!isAddressOrNetwork(address)) faults.push(`${at('our_ae.allow_from')}: our_ae.allow_from: ${JSON.stringify(address)} is not an address (10.0.0.1) or a network (10.0.0.0/8)`)
    }
  }
  if (sound('server.trust_proxy')) {
    for (const address of config.server.trust_proxy) {
      if (!isProxyAddress(address)) faults.push(`${at('server.trust_proxy')}: server.trust_proxy: ${JSON.stringify(address)} is not an address (10.0.0.1) or a network (10.0.0.0/8)`)
    }
  }
  if (sound('server.trusted_origins')) {
    for (const origin of config.server.trusted_origins) {
      if (!isOrigin(origin)) faults.push(`${at('server.trusted_origins')}: server.trusted_origins: ${JSON.stringify(origin)} is not the address of a web site without a path (https://his.example)`)
    }
  }
  if (sound('server.public_url') && config.server.public_url !== '' && !isOrigin(config.server.public_url)) {
    faults.push(`${at('server.public_url')}: server.public_url ${JSON.stringify(config.server.public_url)} is not an address without a path (https://mkiso.example)`)
  }
  if (sound('relay.state_dir') && config.relay.state_dir !== '' && !writableDirectory(config.relay.state_dir)) {
    faults.push(`${at('relay.state_dir')}: relay.state_dir ${config.relay.state_dir} is not a folder in which this user may write`)
  }
  if (sound('audit.file', 'audit.required', 'audit.syslog', 'audit.syslog_ca', 'audit.syslog_cert', 'audit.syslog_key')) checkAudit(config.audit, at, faults)
  if (sound('iso.temp_dir') && !writableDirectory(config.iso.temp_dir)) {
    faults.push(`${at('iso.temp_dir')}: iso.temp_dir ${config.iso.temp_dir} is not a folder in which this user may write`)
  }
  if (sound('disc.language', 'disc.language_dir')) {
    try {
      loadLanguage(config.disc.language, config.disc.language_dir)
    } catch (error) {
      faults.push(`${at('disc.language')}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  if (sound('dcmtk')) {
    const tools = config.dcmtk
    const archives = archivesSound ? sectionsOf(config) : []
    // with DICOMweb alone no program of DCMTK is vital: only a print needs one
    const needed: Array<keyof RawConfig['dcmtk']> = archives.length > 0 && archives.every(({ keys }) => keys.retrieve === 'wado')
      ? []
      : ['findscu', 'echoscu', config.relay.sender === 'storescu' ? 'storescu' : 'dcmsend']
    if (archives.some(({ keys }) => keys.retrieve === 'move')) needed.push('movescu')
    for (const tool of needed) {
      if (sound(`dcmtk.${tool}`) && findProgram(tools[tool], tools.movescu) === undefined) faults.push(`${at(`dcmtk.${tool}`)}: dcmtk.${tool}: there is no program ${tools[tool]}; apt-get install dcmtk, or give its path`)
    }
  }
  if (sound('tools.genisoimage') && findProgram(config.tools.genisoimage) === undefined) {
    faults.push(`${at('tools.genisoimage')}: tools.genisoimage: there is no program ${config.tools.genisoimage}; apt-get install genisoimage, or give its path`)
  }
}

function checkAudit (audit: RawConfig['audit'], at: (name: string) => string, faults: string[]): void {
  const fault = (key: string, text: string): void => { faults.push(`${at(`audit.${key}`)}: audit.${key}${text}`) }
  if (audit.required && audit.file === '') fault('required', ' is true, but audit.file is empty: only a file tells whether a record was written')
  if (audit.file !== '' && !writableDirectory(dirname(resolve(audit.file)))) fault('file', ` ${audit.file} is not in a folder in which this user may write`)
  for (const key of ['syslog_ca', 'syslog_cert', 'syslog_key'] as const) {
    if (audit[key] !== '' && !readableFile(audit[key])) fault(key, ` ${audit[key]} cannot be read`)
    if (audit[key] !== '' && !audit.syslog.startsWith('tls://')) fault(key, ' is set, but audit.syslog is not tls://')
  }
  if ((audit.syslog_cert === '') !== (audit.syslog_key === '')) fault('syslog_cert', ' and audit.syslog_key go together: give both or none')
}

function readableFile (path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return statSync(path).isFile()
  } catch { return false }
}

/** The archives as they are written, with the path of their keys. */
function sectionsOf ({ pacs, archives }: RawConfig): Array<{ section: string, keys: RawConfig['pacs'], entry: RawConfig['archives'][number] | undefined }> {
  if (archives.length === 0) return [{ section: 'pacs', keys: pacs, entry: undefined }]
  return archives.map((entry, index) => ({ section: `archives.${index}`, keys: entry, entry }))
}

function checkArchives (config: RawConfig, at: (name: string) => string, faults: string[]): void {
  const { archives } = config
  for (const [index, { name, accession_pattern: pattern }] of archives.entries()) {
    const fault = (key: string, text: string): void => { faults.push(`${at(`archives.${index}.${key}`)}: archives.${index}.${key}${text}`) }
    if (archives.findIndex(other => other.name.toLowerCase() === name.toLowerCase()) < index) fault('name', `: the name ${name} is there twice`)
    const read = pattern === '' ? undefined : accessionPattern(pattern)
    if (typeof read === 'string') fault('accession_pattern', `: ${JSON.stringify(pattern)} ${read}`)
  }
  const senders = archives.filter(({ retrieve }) => retrieve === 'move')
  for (const [index, { name, ae_title: title, retrieve }] of archives.entries()) {
    if (retrieve !== 'move' || isPerRequest(config.our_ae)) continue
    const other = senders.find(one => one.ae_title === title)
    if (other === undefined || other.name === name) continue
    faults.push(`${at(`archives.${index}.ae_title`)}: archives.${index}.ae_title: ${name} and ${other.name} have the same AE title, by which the one receiver tells who sends: ` +
      'give one of them another, or retrieve: get, or our_ae.receiver: per-request')
  }
  if (archives.length > 0 && archives.every(({ optional }) => optional)) {
    faults.push(`${at('archives')}: archives: every one is optional, so that a study would be missing without a word where none answers: set optional: false for one`)
  }
}

function checkTls (config: RawConfig, at: (name: string) => string, faults: string[]): void {
  const { cd_publisher: publisher, tools } = config
  const archives = sectionsOf(config)
  for (const [section, tls] of [...archives.map(({ section, keys }) => [section, keys.tls] as const), ['cd_publisher', publisher.tls] as const]) {
    if (tls === undefined) continue
    const fault = (key: string, text: string): void => { faults.push(`${at(`${section}.tls.${key}`)}: ${section}.tls.${key}${text}`) }
    if (tls.verify && tls.ca === '') fault('ca', ' is empty: give the certificates that the peer is checked against, or verify: false')
    if ((tls.cert === '') !== (tls.key === '')) fault('cert', ` and ${section}.tls.key go together: give both or none`)
    for (const key of ['ca', 'cert', 'key'] as const) if (tls[key] !== '' && !readableFile(tls[key])) fault(key, ` ${tls[key]} cannot be read`)
    if (findProgram(tools.stunnel) === undefined) faults.push(`${at('tools.stunnel')}: tools.stunnel: there is no program ${tools.stunnel}, which ${section}.tls needs; apt-get install stunnel4, or give its path`)
  }
  const senders = archives.filter(({ keys }) => keys.retrieve === 'move')
  for (const { section, keys: { tls } } of senders) {
    if (tls?.incoming === 'tls' && tls.cert === '') faults.push(`${at(`${section}.tls.cert`)}: ${section}.tls.cert is empty: the receiver needs a certificate and its key, or ${section}.tls.incoming: plain`)
  }
  const receivers = new Map(senders.map(({ section, keys: { tls } }) =>
    [JSON.stringify(tls === undefined || tls.incoming === 'plain' ? null : [tls.ca, tls.cert, tls.key, tls.verify]), section]))
  if (receivers.size > 1 && !isPerRequest(config.our_ae)) {
    const [first, second] = receivers.values()
    faults.push(`${at(`${second ?? ''}.tls`)}: ${first ?? ''}.tls and ${second ?? ''}.tls: both send to the one receiver, which takes TLS with one certificate, or no TLS: ` +
      'give both the same ca, cert, key and verify, or tls.incoming: plain, or our_ae.receiver: per-request')
  }
}

function isPerRequest ({ receiver, ae_title: title }: RawConfig['our_ae']): boolean {
  return (receiver ?? (title.includes('{n}') ? 'per-request' : 'shared')) === 'per-request'
}

/** What may stand in a header, as a token. */
const TOKEN = /^[\x21-\x7e]*$/

function checkDicomweb ({ section, keys: { retrieve, dicomweb, tls } }: ReturnType<typeof sectionsOf>[number], at: (name: string) => string, faults: string[]): void {
  const faultOf = (key: string, text: string): void => { faults.push(`${at(`${section}.${key}`)}: ${section}.${key}${text}`) }
  const fault = (key: string, text: string): void => { faultOf(`dicomweb.${key}`, text) }
  if (dicomweb === undefined) {
    if (retrieve === 'wado') faultOf('retrieve', ` is wado, but ${section}.dicomweb.url is not set: give the base address of the DICOMweb server (https://pacs.example/dicom-web)`)
    return
  }
  if (retrieve !== 'wado') {
    faultOf('dicomweb', ` is set, but ${section}.retrieve is ${retrieve}: set ${section}.retrieve: wado, or take the section away`)
    return
  }
  const { url, token, token_file: tokenFile, username, password, password_file: passwordFile, cert, key } = dicomweb
  const { username: nameInUrl, password: passwordInUrl, search, hash } = new URL(url)
  if (nameInUrl !== '' || passwordInUrl !== '') fault('url', ' holds a user name or password: give them as username and password_file')
  if (search !== '' || hash !== '') fault('url', ' holds a "?" or a "#": give the address to which /studies is added')
  if (!TOKEN.test(token)) fault('token', ' holds a blank or another character that no token has')
  if (token !== '' && tokenFile !== '') fault('token_file', ' and token are both set: give one of them')
  if (password !== '' && passwordFile !== '') fault('password_file', ' and password are both set: give one of them')
  if ((token !== '' || tokenFile !== '') && username !== '') fault('username', ' and a token are both set: a request proves who we are in one way')
  if (username === '' && (password !== '' || passwordFile !== '')) fault('username', ' is empty, but there is a password')
  if (username.includes(':')) fault('username', ' holds a colon, which Basic authentication cannot carry (RFC 7617 2)')
  if ((cert === '') !== (key === '')) fault('cert', ' and key go together: give both or none')
  for (const name of ['ca', 'cert', 'key', 'token_file', 'password_file'] as const) if (dicomweb[name] !== '' && !readableFile(dicomweb[name])) fault(name, ` ${dicomweb[name]} cannot be read`)
  if (!url.startsWith('https:') && (dicomweb.ca !== '' || cert !== '')) fault('url', ' is not https, but certificates are given: they would not be used')
  if (tls !== undefined) faultOf('tls', ` is for DICOM over TLS, which retrieve: wado does not speak: give the certificates in ${section}.dicomweb`)
}

function isProxyAddress (text: string): boolean {
  try {
    proxyAddr.compile(text)
    return true
  } catch { return false }
}

function checkAuth (auth: RawConfig['auth'], at: (name: string) => string, faults: string[]): void {
  const fault = (name: string, text: string): void => { faults.push(`${at(name)}: ${text}`) }
  const keys = readKeys(auth, fault)
  const { secret } = auth.signed_links
  if (secret !== '' && secret.length < SECRET_MIN_LENGTH) fault('auth.signed_links.secret', `auth.signed_links.secret is shorter than ${SECRET_MIN_LENGTH} characters: take one from "openssl rand -hex 32"`)
  if (auth.enabled && keys.length === 0 && auth.keys.length === 0 && secret === '') {
    fault('auth.api_key', 'auth.api_key is empty while auth.enabled is true: set a secret key, for example from "openssl rand -hex 32", or auth.keys, or auth.signed_links.secret')
  }
}

function isOrigin (text: string): boolean {
  try {
    const { protocol, origin, href } = new URL(text)
    return ['http:', 'https:'].includes(protocol) && href === `${origin}/`
  } catch { return false }
}

export function writableDirectory (path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return statSync(path).isDirectory()
  } catch { return false }
}

/**
 * The path of a program: as given when it holds a slash, else beside `neighbour` (a site that has DCMTK in /usr/local has all of it
 * there), else in PATH.
 */
export function findProgram (program: string, neighbour?: string): string | undefined {
  const candidates = program.includes('/')
    ? [resolve(program)]
    : [...(neighbour?.includes('/') === true ? [dirname(resolve(neighbour))] : []), ...(process.env['PATH'] ?? '').split(delimiter)].map(folder => join(folder, program))
  return candidates.find(path => {
    try {
      accessSync(path, constants.X_OK)
      return statSync(path).isFile()
    } catch { return false }
  })
}

function byLine (a: string, b: string): number {
  const line = (fault: string): number => Number(/:(\d+): /.exec(fault)?.[1] ?? Number.MAX_SAFE_INTEGER)
  return line(a) - line(b)
}

/** Associations for queries, where the configuration gives no limit for both. */
const QUERIES_BESIDE_MOVES = 4

/** Numbers with their units in place of text, programs with their paths. */
function finish (raw: RawConfig, faults: string[], at: (name: string) => string): Config {
  const ms = (section: string, key: string, value: string): number => {
    const parsed = parseDurationMs(value)
    if (parsed === undefined) throw new ConfigError([...faults, `${at(`${section}.${key}`)}: ${section}.${key} is not a duration`])
    return parsed
  }
  const dcmtk = Object.fromEntries(Object.entries(raw.dcmtk).map(([tool, path]) => [tool, findProgram(path, raw.dcmtk.movescu) ?? path])) as RawConfig['dcmtk']
  const { api_key: _key, keys: _keys, signed_links: { secret, max_age: maxAge }, ...auth } = raw.auth
  const { pacs: _pacs, archives: _archives, ...rest } = raw
  const archiveOf = ({ section, keys, entry }: ReturnType<typeof sectionsOf>[number]): ArchiveSettings => {
    const pattern = entry === undefined || entry.accession_pattern === '' ? undefined : accessionPattern(entry.accession_pattern)
    return {
      ...keys,
      name: entry?.name ?? (keys.dicomweb === undefined ? keys.ae_title : new URL(keys.dicomweb.url).host),
      section,
      optional: entry?.optional ?? false,
      accessionPattern: typeof pattern === 'string' ? undefined : pattern,
      maxAssociations: keys.max_associations ?? keys.max_moves + QUERIES_BESIDE_MOVES,
      queueTimeoutMs: ms(section, 'queue_timeout', keys.queue_timeout),
      connectTimeoutMs: ms(section, 'connect_timeout', keys.connect_timeout),
      findTimeoutMs: ms(section, 'find_timeout', keys.find_timeout),
      idleTimeoutMs: ms(section, 'idle_timeout', keys.idle_timeout),
      moveTimeoutMs: ms(section, 'move_timeout', keys.move_timeout),
      settleTimeoutMs: ms(section, 'settle_timeout', keys.settle_timeout)
    }
  }
  const [first = { section: 'pacs', keys: raw.pacs, entry: undefined }, ...others] = sectionsOf(raw)
  return {
    ...rest,
    dcmtk,
    auth: {
      ...auth,
      keys: readKeys(raw.auth, () => {}),
      signedLinks: secret === '' ? undefined : { secret, maxAgeMs: ms('auth', 'signed_links.max_age', maxAge) }
    },
    desk: { enabled: raw.desk.enabled ?? raw.auth.enabled },
    tools: {
      genisoimage: findProgram(raw.tools.genisoimage) ?? raw.tools.genisoimage,
      xorrisofs: findProgram(raw.tools.xorrisofs) ?? raw.tools.xorrisofs,
      stunnel: findProgram(raw.tools.stunnel) ?? raw.tools.stunnel,
      gdcmconv: findProgram(raw.tools.gdcmconv) ?? raw.tools.gdcmconv
    },
    server: {
      ...raw.server,
      readTimeoutMs: ms('server', 'read_timeout', raw.server.read_timeout),
      writeTimeoutMs: ms('server', 'write_timeout', raw.server.write_timeout),
      shutdownGraceMs: ms('server', 'shutdown_grace', raw.server.shutdown_grace),
      trusted_origins: raw.server.trusted_origins.map(origin => new URL(origin).origin)
    },
    archives: [archiveOf(first), ...others.map(archiveOf)],
    our_ae: { ...raw.our_ae, receiver: isPerRequest(raw.our_ae) ? 'per-request' : 'shared', maxUnwantedBytes: parseSizeBytes(raw.our_ae.max_unwanted) ?? 0 },
    patient_api: {
      ...raw.patient_api,
      timeoutMs: ms('patient_api', 'timeout', raw.patient_api.timeout),
      slowAfterMs: ms('patient_api', 'slow_after', raw.patient_api.slow_after)
    },
    cd_publisher: {
      ...raw.cd_publisher,
      connectTimeoutMs: ms('cd_publisher', 'connect_timeout', raw.cd_publisher.connect_timeout),
      sendTimeoutMs: ms('cd_publisher', 'send_timeout', raw.cd_publisher.send_timeout)
    },
    relay: { ...raw.relay, retryForMs: ms('relay', 'retry_for', raw.relay.retry_for), askAgainWithinMs: ms('relay', 'ask_again_within', raw.relay.ask_again_within) },
    iso: { ...raw.iso, keepForMs: ms('iso', 'keep_for', raw.iso.keep_for), keepMaxBytes: parseSizeBytes(raw.iso.keep_max_bytes) ?? 0, diskReserveBytes: parseSizeBytes(raw.iso.disk_reserve) ?? 0 },
    disc: { ...raw.disc, viewerMaxBytes: parseSizeBytes(raw.disc.viewer_max_bytes) ?? 0 },
    log: { level: raw.log.level, pretty: raw.log.pretty ?? process.stdout.isTTY === true }
  }
}
