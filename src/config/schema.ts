/**
 * Every configuration key, its default and its meaning. The description of a key is what `config/mkiso.example.yaml` shows, so that the
 * two cannot drift apart. Durations and sizes are text here (`10s`, `20G`); {@link Config} carries them as numbers with the unit in the name.
 */
import { Type, type Static, type TSchema } from '@sinclair/typebox'

const text = (fallback: string, description: string) => Type.String({ default: fallback, description })
const flag = (fallback: boolean, description: string) => Type.Boolean({ default: fallback, description })
const whole = (fallback: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: fallback, minimum, maximum, description })
const duration = (fallback: string, description: string) => Type.String({ default: fallback, format: 'duration', description })
const size = (fallback: string, description: string) => Type.String({ default: fallback, format: 'size', description })
const choice = <T extends string[]>(fallback: T[number] | undefined, values: [...T], description: string) =>
  Type.Unsafe<T[number]>(Type.Union(values.map(value => Type.Literal(value)), { ...(fallback === undefined ? {} : { default: fallback }), description, choices: values }))
// An AE title is at most 16 characters of the default repertoire without backslash (PS3.5 6.2, VR AE).
const AE_TITLE = '^[\\x21-\\x5b\\x5d-\\x7e](?:[\\x20-\\x5b\\x5d-\\x7e]{0,14}[\\x21-\\x5b\\x5d-\\x7e])?$'
const aeTitle = (fallback: string, description: string) =>
  Type.String({ default: fallback, pattern: AE_TITLE, description, patternMeaning: 'an AE title: 1 to 16 characters, no backslash' })
const section = <P extends Record<string, TSchema>>(description: string, properties: P) =>
  Type.Object(properties, { additionalProperties: false, default: {}, description })
const tls = <P extends Record<string, TSchema>>(who: string, more: P) => Type.Optional(Type.Object({
  ca: text('', `File with the certificates (PEM) that the ${who} is checked against.`),
  cert: text('', 'File with our certificate (PEM).'),
  key: text('', 'File with the key to it (PEM), without a password.'),
  verify: flag(true, `false: take any certificate of the ${who}. Think twice.`),
  server_name: text('', `Name in the certificate of the ${who}; empty for its host.`),
  ...more
}, { additionalProperties: false, description: `DICOM over TLS: when this section is there, the ${who} is reached through stunnel or not at all; see docs/security.md.` }))
const dicomweb = Type.Optional(Type.Object({
  url: Type.String({ format: 'http-url', description: 'Base address, to which /studies is added: https://pacs.example/dicom-web' }),
  token: text('', 'Sent as "Authorization: Bearer ..." when not empty. Better from MKISO_PACS__DICOMWEB__TOKEN_FILE or token_file than from here.'),
  token_file: text('', 'File with the token, read with each request: where something renews it every hour.'),
  username: text('', 'For servers that take a name and a password (Basic).'),
  password: text('', 'Better from password_file than from here.'),
  password_file: text('', 'File with the password, read with each request.'),
  ca: text('', 'File with the certificates (PEM) that the server is checked against (https); empty for those that Node knows.'),
  cert: text('', 'File with our certificate (PEM), where the server asks for one.'),
  key: text('', 'File with the key to it (PEM), without a password.'),
  verify: flag(true, 'false: take any certificate of the server. Think twice.'),
  server_name: text('', 'Name in the certificate of the server; empty for its host.'),
  page_size: whole(200, 1, 10_000, 'Answers that are asked for at once; some servers refuse more than 200.')
}, { additionalProperties: false, description: 'The PACS as a DICOMweb server, with retrieve: wado. Then no AE title of ours, no receiver and no open port is needed; see docs/pacs.md.' }))
const ARCHIVE_NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$'
/** Each is asked at every request. */
export const MOST_ARCHIVES = 16
const port = (fallback: number, description: string) => whole(fallback, 1, 65_535, description)

/** How an archive is reached, and what it bears. */
const pacs = {
  ae_title: aeTitle('ABPACS', 'AE title of the PACS.'),
  host: text('localhost', 'Host name or address.'),
  port: port(11112, 'DICOM port.'),
  tls: tls('PACS', {
    incoming: choice('tls', ['tls', 'plain'], 'How the PACS sends images to us. tls: the receiver takes nothing else, and cert and key are needed. plain: images arrive unencrypted.')
  }),
  retrieve: choice('move', ['move', 'get', 'wado'],
    'move: C-MOVE to our receiver. get: C-GET, needs no receiver and no open port, for a PACS that supports it. wado: DICOMweb, with the section dicomweb; ae_title, host and port are not used then.'),
  dicomweb,
  max_moves: whole(4, 1, 64, 'Most C-MOVE (or C-GET) at the PACS at the same time, over all requests.'),
  max_associations: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 128,
    description: 'Most associations at the PACS at the same time, over all requests: queries and moves together; 1 for a PACS that bears one. ' +
      'A larger max_moves is bounded by it. Default: max_moves and 4 more.'
  })),
  queue_timeout: duration('2m', 'Longest wait for a turn at the PACS, and for a PACS that rejects associations since it is busy, before 503.'),
  max_waiting: whole(500, 1, 10_000, 'Most requests that ask the PACS what it has, or wait for their turn to ask; one more is told at once to come again (503).'),
  connect_timeout: duration('10s', 'Longest wait for a connection and for the association.'),
  find_timeout: duration('30s', 'Longest wait for the answers to one C-FIND.'),
  idle_timeout: duration('60s', 'A move in which the PACS neither answers nor sends an image for so long has failed (504).'),
  move_timeout: duration('30m', 'Longest time for one move, however busy (504).'),
  settle_timeout: duration('5s', 'After a move has ended with images missing: how long to wait while none arrives, since some PACS answer before they have sent.')
}

export const ConfigSchema = Type.Object({
  server: section('The HTTP side.', {
    host: text('0.0.0.0', 'Address to listen on; 127.0.0.1 when nginx stands on the same machine.'),
    port: whole(8080, 0, 65_535, 'Port to listen on.'),
    read_timeout: duration('300s', 'Longest time a client may take to send a request.'),
    write_timeout: duration('600s', 'Longest time a client may read nothing of a disc before it is cut off.'),
    trust_proxy: Type.Array(Type.String(), { default: ['127.0.0.1', '::1'], description: 'Addresses or networks of proxies whose X-Forwarded-For is believed.' }),
    shutdown_grace: duration('30s', 'How long downloads under way may go on after SIGTERM.'),
    max_accessions: whole(20, 1, 500, 'Most accession numbers in one request.'),
    rate_limit: whole(120, 0, 100_000, 'Most requests a minute from one client, beside health, metrics and Swagger UI; 0 for no limit.'),
    public_url: text('', 'Address by which browsers reach the service, https://mkiso.example, for links that mkiso link and the page make; empty where the page is to take the one that it was opened by.'),
    trusted_origins: Type.Array(Type.String(), { default: [], description: 'Web sites beside our own whose pages may print at once and cancel, those of the HIS: [https://his.example]. A link on another site opens the page that asks.' })
  }),
  auth: section('Who may download. Stage 1: false; stage 2: true, and nginx adds the header.', {
    enabled: flag(false, 'Require the header X-API-Key on /api/iso/*.'),
    api_key: text('', 'The shared key. Keep it secret: better from MKISO_AUTH__API_KEY_FILE than from here.'),
    keys: Type.Array(Type.Object({
      name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$', patternMeaning: 'a name of 1 to 64 letters, digits, dots, hyphens and underscores' }),
      key: Type.Optional(Type.String({ minLength: 1, patternMeaning: 'a text that is not empty' })),
      key_file: Type.Optional(Type.String()),
      sha256: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{64}$', patternMeaning: 'a SHA-256 in 64 hexadecimal digits' }))
    }, { additionalProperties: false }), {
      default: [],
      description: 'Further keys, each with a name that stands in log and audit: [{name: his, key_file: /etc/mkiso/his.key}]; or key: TEXT, or sha256: HEX (printf %s KEY | sha256sum).'
    }),
    signed_links: section('Links that the HIS signs, where nginx cannot add a key; see docs/security.md.', {
      secret: text('', 'The secret that service and HIS share, 32 characters or more; empty for no signed links. Better from MKISO_AUTH__SIGNED_LINKS__SECRET_FILE.'),
      max_age: duration('24h', 'A link that is valid for longer than this from now is refused.')
    })
  }),
  desk: section('The page /desk: finds a patient\'s studies by number, Patient ID, name or date, and shows who has had what; see docs/security.md.', {
    enabled: Type.Optional(Type.Boolean({ description: 'Answer at /desk. Default: as auth.enabled. true without auth.enabled needs audit.user_header: a login at nginx, which names the person.' }))
  }),
  dcmtk: section('DCMTK programs. One without a path is looked for beside movescu, then in PATH.', {
    storescp: text('storescp', 'No longer used: the service receives by itself. The key is accepted so that older files load.'),
    movescu: text('movescu', 'C-MOVE.'),
    storescu: text('storescu', 'C-STORE sender (relay.sender: storescu).'),
    findscu: text('findscu', 'C-FIND.'),
    getscu: text('getscu', 'No longer used: the service does C-GET by itself. The key is accepted so that older files load.'),
    echoscu: text('echoscu', 'C-ECHO, for the health probe.'),
    dcmsend: text('dcmsend', 'C-STORE sender (relay.sender: dcmsend).'),
    dcmj2pnm: text('dcmj2pnm', 'Renders pictures for the web pages of a disc.'),
    dcmconv: text('dcmconv', 'Converts transfer syntaxes (disc.transfer_syntax).'),
    dcmdjpeg: text('dcmdjpeg', 'Decodes JPEG (disc.transfer_syntax).'),
    dcmdjpls: text('dcmdjpls', 'Decodes JPEG-LS (disc.transfer_syntax).'),
    dcmdrle: text('dcmdrle', 'Decodes RLE (disc.transfer_syntax).'),
    dcm2pdf: text('dcm2pdf', 'Takes PDF documents out for the web pages of a disc.'),
    dsr2html: text('dsr2html', 'Renders structured reports for the web pages of a disc.')
  }),
  tools: section('Other programs.', {
    genisoimage: text('genisoimage', 'Makes the image.'),
    xorrisofs: text('xorrisofs', 'Makes the image when an object of 4 GiB or more is on it, which genisoimage cuts off; only used then (package xorriso).'),
    stunnel: text('stunnel4', 'Carries DICOM over TLS; only used with pacs.tls or cd_publisher.tls.'),
    gdcmconv: text('gdcmconv', 'Decodes JPEG 2000 for pictures and disc.transfer_syntax; only used where it is installed (package libgdcm-tools).')
  }),
  pacs: section('The PACS.', pacs),
  archives: Type.Array(Type.Object({
    name: Type.String({ pattern: ARCHIVE_NAME, patternMeaning: 'a name of 1 to 32 letters, digits, dots, hyphens and underscores', description: 'Stands in messages, log, audit and metrics.' }),
    optional: flag(false, 'true: where it does not answer and the study was found elsewhere, the disc is made without it, and says so. Think twice: an image that only it holds is then missing.'),
    accession_pattern: text('', 'Regular expression for the accession numbers that it can have, for the whole number: "CARD[0-9]{6}". It is not asked for others. Empty: any.'),
    ...pacs
  }, { additionalProperties: false }), {
    default: [],
    maxItems: MOST_ARCHIVES,
    description: 'Several archives instead of the one pacs section: a list, each entry with a name and the keys of pacs; see docs/pacs.md. ' +
      'All are asked, and the first that has all of a study sends it: [{name: main, host: pacs1, ae_title: PACS1}, {name: old, host: pacs2, ae_title: OLD, optional: false, accession_pattern: ""}].'
  }),
  our_ae: section('Ourselves, as the PACS knows us.', {
    ae_title: Type.String({
      default: 'CDRECORD',
      pattern: '^(?=.{1,16}$)[\\x21-\\x5b\\x5d-\\x7e]+$',
      patternMeaning: 'an AE title: 1 to 16 characters, no blank, no backslash',
      description: 'AE title that the PACS maps to this machine; with receiver per-request it holds {n} (CDREC{n} is CDREC0, CDREC1 ...).'
    }),
    receiver: Type.Optional(choice(undefined, ['shared', 'per-request'],
      'shared: one receiver on base_port for all requests; one AE entry at the PACS. per-request: a receiver for each request on base_port + n, each AE title registered at the PACS. Default: per-request when ae_title holds {n}, else shared.')),
    base_port: port(10104, 'Port of the receiver; first of the range with receiver per-request.'),
    port_range: whole(100, 1, 1_000, 'Number of requests that may receive at the same time.'),
    allow_from: Type.Array(Type.String(), { default: [], description: 'Addresses or networks from which the receiver takes connections. Empty: those that pacs.host resolves to; 0.0.0.0/0 for everybody.' }),
    max_unwanted: size('256M', 'Most that images which nobody asked for may hold until they are removed; an association that sends more of them is ended.')
  }),
  patient_api: section('The HIS, which knows the patient of an accession number; see docs/patient-api-spec.md.', {
    base_url: Type.String({ default: 'http://his-server/api', format: 'http-url', description: 'Address up to /patient/by-accession.' }),
    timeout: duration('10s', 'Longest wait for an answer, each try.'),
    retries: whole(2, 0, 10, 'Further tries after a lost connection or a 5xx answer.'),
    slow_after: duration('2s', 'An answer that takes longer is a warning in the log.'),
    token: text('', 'Sent as "Authorization: Bearer ..." when not empty.'),
    identity: choice('refuse', ['refuse', 'warn', 'off'], 'Where the HIS and the PACS differ in both number and name of the patient: no disc, a warning, or not compared.'),
    medrec_id_prefix: text('', 'What one of HIS and PACS puts before the number of a patient, as RS1-, and the other does not.'),
    required: flag(true, 'false: a patient API that fails or does not know the accession number is a warning, and the name comes from the PACS.')
  }),
  cd_publisher: section('The robot that makes printed discs.', {
    host: text('172.16.0.120', 'Host name or address.'),
    port: port(104, 'DICOM port.'),
    ae_title: aeTitle('CDPUBLISHER', 'Its AE title.'),
    name: text('', 'What people call it, for the pages: "in the radiology office". Empty: its host and port.'),
    tls: tls('CD publisher', {}),
    connect_timeout: duration('10s', 'Longest wait for a connection and for the association.'),
    send_timeout: duration('30m', 'Longest time for sending one request.')
  }),
  relay: section('How images go to the CD publisher.', {
    sender: choice('dcmsend', ['dcmsend', 'storescu'], 'dcmsend sends every transfer syntax; storescu stops at the first compressed image.'),
    state_dir: text('', 'Folder for the journal of prints and for links that are used up, on a disk that survives a restart; empty for /var/lib/mkiso where that can be written, else a folder in iso.temp_dir.'),
    retry_for: duration('10m', 'A robot that is off is tried again for so long, for prints that nobody waits for with an open connection; 0 for not at all.'),
    ask_again_within: duration('24h', 'The same studies to the same robot again within this time: a person is asked, a program gets 409 and sends again=true; 0 for never.')
  }),
  iso: section('The disc image.', {
    microdicom_path: text('/var/www/html/microdicom', 'Folder of the viewer that goes onto the disc; empty for none.'),
    temp_dir: text('/tmp', 'Where dicomdir_* folders are made; needs the size of the studies under way and kept.'),
    volume_id: Type.String({ default: 'DICOM', pattern: '^[A-Z0-9_]{1,16}$', patternMeaning: '1 to 16 characters of A-Z, 0-9 and _', description: 'Volume ID and file-set ID.' }),
    level: Type.Unsafe<1 | 2 | 3 | 4>(Type.Integer({ default: 1, minimum: 1, maximum: 4, description: 'ISO 9660 level: 1 is what DICOM asks (3 is taken by itself for a file of 4 GiB); 4 was the original\'s.' })),
    joliet: flag(true, 'Joliet names beside the ISO 9660 ones, for the long names of the viewer on Windows.'),
    checksums: flag(false, 'Put SHA256.TXT with a checksum of every file onto the disc.'),
    keep_for: duration('10m', 'How long a finished retrieval is kept for a second click or a print; 0 for not at all.'),
    keep_max_bytes: size('20G', 'Most that kept retrievals may hold; the least recently used go first.'),
    disk_reserve: size('1G', 'Stays free in temp_dir: kept retrievals go, and new ones are refused (507), before less is free.')
  }),
  disc: section('What is on the disc.', {
    format: choice('iso', ['iso', 'zip'], 'What pages offer first. iso: an image to be burnt. zip: the same files for a stick, mail or a telephone, which begins with the first image; not split by capacity.'),
    institution: text('', 'Name of the institution, for the first page.'),
    contact: text('', 'Whom to call about the disc: telephone, mail.'),
    privacy_note: text('', 'A sentence about privacy for the first page; empty for none.'),
    disclaimer: text('', 'The site\'s own disclaimer; empty for the one of the language file.'),
    language: Type.String({ default: 'en', pattern: '^[a-z]{2}$', patternMeaning: 'a language code of two letters', description: 'Language of the pages: en, id, or one of language_dir.' }),
    language_dir: text('', 'Folder with the site\'s own language files (xx.yaml).'),
    viewer: flag(true, 'The viewer on the first page: works in any browser, nothing is installed. Adds 2 KB an image, and data for what no browser shows by itself.'),
    viewer_max_bytes: size('200M', 'Most that such data may take on a disc (compressed images); beyond it the person picks the folder to see them.'),
    web_content: choice('thumbnails', ['thumbnails', 'all', 'none'], 'Beside the viewer: thumbnails: reports and documents (and a picture of each series where viewer is false); all: every image as a JPEG file too; none.'),
    transfer_syntax: choice('as-stored', ['as-stored', 'uncompressed'], 'uncompressed: decode compressed images, for strict CD readers.'),
    capacity: choice('none', ['none', 'cd', 'dvd', 'bd'], 'Split what is larger than this medium into a set of discs.'),
    viewer_program: text('', 'Program in the viewer folder that Windows may start (AUTORUN.INF); empty for none.'),
    priors: whole(0, 0, 10, 'So many earlier studies of the same patient, and of a modality or body part of the asked study, are put on the disc too, the last ones before it; never for several accession numbers, never for a print.'),
    allow_mixed_patients: flag(false, 'Allow studies of different patients on one disc. Think twice.'),
    allow_reassigned: flag(false, 'Allow a study whose images name another patient than the PACS does: one that was re-assigned there, such as an emergency patient who got a name later. Think twice.'),
    allow_incomplete: flag(false, 'Give a disc even if images are missing; the disc and a header say so. Think twice.')
  }),
  audit: section('The audit trail (DICOM PS3.15 A.5): who took which patient\'s images, when. It holds patients\' names; the log does not.', {
    file: text('', 'File for one JSON line a record, before and after each download and print; empty for none.'),
    required: flag(false, 'true: no disc and no print leaves when the audit file cannot be written.'),
    syslog: Type.String({ default: '', pattern: '^(?:(?:udp|tcp|tls)://(?:\\[[0-9a-fA-F:.]+\\]|[^/:@\\[\\]]+)(?::[0-9]{1,5})?)?$', patternMeaning: 'an address such as tls://audit.example:6514 (udp, tcp or tls)', description: 'Audit repository for the XML messages of the standard: udp://HOST:514, tcp://HOST:601 or tls://HOST:6514; empty for none.' }),
    syslog_ca: text('', 'File with the certificates (PEM) that the repository\'s is checked against (tls); empty for those that Node knows.'),
    syslog_cert: text('', 'File with our certificate (PEM), where the repository asks for one (tls).'),
    syslog_key: text('', 'File with the key to it (PEM).'),
    source_id: text('', 'AuditSourceID, our name in the audit repository; empty for the host name.'),
    user_header: text('', 'Header in which a trusted proxy (server.trust_proxy) names the person, such as X-Remote-User; empty for none.')
  }),
  metrics: section('Metrics for Prometheus, at /metrics; no patient and no accession number stands in them.', {
    enabled: flag(true, 'Answer at /metrics.'),
    token: text('', 'Where it is not empty, /metrics needs "Authorization: Bearer TOKEN". Better from MKISO_METRICS__TOKEN_FILE than from here.')
  }),
  log: section('The log.', {
    level: choice('info', ['trace', 'debug', 'info', 'warn', 'error', 'silent'], 'How much.'),
    pretty: Type.Optional(Type.Boolean({ description: 'Lines for people instead of JSON. Default: on a terminal.' }))
  })
}, { additionalProperties: false })

/** A key that opens the service. */
export interface NamedKey {
  /** Stands in log and audit in place of the key. */
  name: string
  /** SHA-256 of the key, 32 bytes. */
  digest: Buffer
}

export interface SignedLinkSettings {
  secret: string
  /** Longest time from now that a link may be valid, in milliseconds. */
  maxAgeMs: number
}

/** A secret of signed links that is shorter could be guessed from one link, characters. */
export const SECRET_MIN_LENGTH = 32

/** The configuration as it is written. */
export type RawConfig = Static<typeof ConfigSchema>

/** One archive: an entry of `archives`, or the `pacs` section. */
export type ArchiveSettings = RawConfig['pacs'] & {
  /** For messages; the AE title for the `pacs` section, which has no name, or the host of its DICOMweb server. */
  name: string
  /** Where its keys stand, for messages that say what to change: `pacs`, or `archives.0`. */
  section: string
  optional: boolean
  /** For the whole accession number; undefined for any. */
  accessionPattern: RegExp | undefined
  maxAssociations: number
  queueTimeoutMs: number, connectTimeoutMs: number, findTimeoutMs: number, idleTimeoutMs: number, moveTimeoutMs: number, settleTimeoutMs: number
}

/** What a key holds once it is read: durations in milliseconds and sizes in bytes under a name with the unit. */
export interface Config extends Omit<RawConfig, 'auth' | 'desk' | 'server' | 'pacs' | 'archives' | 'our_ae' | 'patient_api' | 'cd_publisher' | 'relay' | 'iso' | 'disc' | 'log'> {
  server: RawConfig['server'] & { readTimeoutMs: number, writeTimeoutMs: number, shutdownGraceMs: number }
  auth: Omit<RawConfig['auth'], 'api_key' | 'keys' | 'signed_links'> & { keys: readonly NamedKey[], signedLinks: SignedLinkSettings | undefined }
  desk: { enabled: boolean }
  /** In the order in which they are preferred: the entries of `archives`, or the one of `pacs`. Never empty. */
  archives: readonly [ArchiveSettings, ...ArchiveSettings[]]
  our_ae: RawConfig['our_ae'] & { receiver: 'shared' | 'per-request', maxUnwantedBytes: number }
  patient_api: RawConfig['patient_api'] & { timeoutMs: number, slowAfterMs: number }
  cd_publisher: RawConfig['cd_publisher'] & { connectTimeoutMs: number, sendTimeoutMs: number }
  relay: RawConfig['relay'] & { retryForMs: number, askAgainWithinMs: number }
  iso: RawConfig['iso'] & { keepForMs: number, keepMaxBytes: number, diskReserveBytes: number }
  disc: RawConfig['disc'] & { viewerMaxBytes: number }
  log: { level: RawConfig['log']['level'], pretty: boolean }
}

const NO_LONGER_USED = new Set(['storescp', 'getscu'])

/** The DCMTK programs that the service starts, by their names, with their paths. */
export function dcmtkInUse ({ dcmtk }: Pick<Config, 'dcmtk'>): Record<string, string> {
  return Object.fromEntries(Object.entries(dcmtk).filter(([tool]) => !NO_LONGER_USED.has(tool)))
}
