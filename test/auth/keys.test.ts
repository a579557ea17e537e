/** Who may come in: named keys and signed links. */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nameOfKey } from '../../src/auth/keys.ts'
import { readKeys } from '../../src/config/keys.ts'
import { checkSignedLink, expiryFault, signatureOf } from '../../src/auth/signed-links.ts'
import { ConfigError, parseConfig } from '../../src/config/load.ts'
import { MkisoError } from '../../src/errors.ts'
import { freePort } from '../../demo/ports.ts'
import { programsOf, service, temporaryFolder } from '../world.ts'
import { request } from 'undici'

const SECRET = '0123456789abcdef0123456789abcdef'
const EXAMPLES = join(import.meta.dirname, '../../docs/examples')

function faultsOf (auth: object): readonly string[] {
  try {
    parseConfig(JSON.stringify({ auth, iso: { temp_dir: '/tmp' } }), 'mkiso.yaml', { env: {} })
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

t.test('keys as text, file and SHA-256; each has its name', async t => {
  const file = join(temporaryFolder(t), 'key')
  writeFileSync(file, 'in a file\n')
  const sha256 = createHash('sha256').update('as a digest').digest('hex').toUpperCase()
  const keys = readKeys({
    enabled: true, api_key: 'original', signed_links: { secret: '', max_age: '24h' }, keys: [{ name: 'text', key: 'as text' }, { name: 'file', key_file: file }, { name: 'digest', sha256 }]
  }, text => { t.fail(text) })
  const names = ['original', 'as text', 'in a file', 'as a digest', 'in a file\n', '', 'As text'].map(given => nameOfKey(keys, given))
  t.strictSame(names, ['api_key', 'text', 'file', 'digest', undefined, undefined, undefined])
  t.notMatch(JSON.stringify(keys), /as text|in a file|original/, 'the keys themselves are not kept')
})

t.test('what the configuration refuses, without the key in the message', async t => {
  const cases: Array<[object, string | RegExp]> = [
    [{ keys: [{ name: 'a' }] }, 'mkiso.yaml:1: auth.keys: a needs exactly one of key, key_file and sha256'],
    [{ keys: [{ name: 'a', key: 'HIDDEN', sha256: '0'.repeat(64) }] }, 'mkiso.yaml:1: auth.keys: a needs exactly one of key, key_file and sha256'],
    [{ keys: [{ name: 'a', key: 'HIDDEN' }, { name: 'a', key: 'HIDDEN2' }] }, 'mkiso.yaml:1: auth.keys: the name a is there twice'],
    [{ keys: [{ name: 'a', key: 'changeme' }] }, /a: the key is "changeme"/],
    [{ keys: [{ name: 'a', key_file: '/nowhere' }] }, 'mkiso.yaml:1: auth.keys: a: the file /nowhere cannot be read'],
    [{ keys: [{ name: 'a', sha256: 'HIDDEN' }] }, 'mkiso.yaml:1: auth.keys.0.sha256: the value is not a SHA-256 in 64 hexadecimal digits'],
    [{ keys: [{ name: 'a b', key: 'HIDDEN' }] }, /auth.keys.0.name: the value is not a name of/],
    [{ keys: [{ name: 'a', kye: 'HIDDEN' }] }, 'mkiso.yaml:1: unknown key auth.keys.0.kye'],
    [{ keys: 'HIDDEN' }, 'mkiso.yaml:1: auth.keys: the value is not a list'],
    [{ signed_links: { secret: 'HIDDEN' } }, /auth.signed_links.secret is shorter than 32 characters/],
    [{ signed_links: { secrets: 'HIDDEN' } }, 'mkiso.yaml:1: unknown key auth.signed_links.secrets; did you mean secret?'],
    [{ signed_links: { max_age: 'HIDDEN' } }, /auth.signed_links.max_age: the value is not a duration/],
    [{ enabled: true }, /auth.api_key is empty while auth.enabled is true/]
  ]
  for (const [auth, fault] of cases) {
    const faults = faultsOf(auth)
    t.match(faults, [fault], JSON.stringify(auth))
    t.notMatch(faults.join(), /HIDDEN/)
  }
  t.strictSame(faultsOf({ enabled: true, keys: [{ name: 'a', key: 'k' }] }), [])
  t.strictSame(faultsOf({ enabled: true, signed_links: { secret: SECRET } }), [])
})

t.test('a secret within a section comes from the environment too', async t => {
  const file = join(temporaryFolder(t), 'secret')
  writeFileSync(file, `${SECRET}\n`)
  const { auth } = parseConfig('{iso: {temp_dir: /tmp}, auth: {signed_links: }}', 'x', { env: { MKISO_AUTH__SIGNED_LINKS__SECRET_FILE: file, MKISO_AUTH__SIGNED_LINKS__MAX_AGE: '1h' } })
  t.strictSame(auth.signedLinks, { secret: SECRET, maxAgeMs: 3_600_000 })
})

t.test('signed links: what is signed cannot be changed', async t => {
  const settings = { secret: SECRET, maxAgeMs: 3_600_000 }
  const now = 1_700_000_000_000
  const signed = (path: string, accessionNumbers: string, expires: string, secret = SECRET) =>
    ({ paths: [path], accessionNumbers, expires, signature: signatureOf(secret, { path, accessionNumbers, expires }) })
  const good = signed('/api/iso/download', 'A', '1700000060')
  t.doesNotThrow(() => { checkSignedLink(settings, good, now) })
  t.doesNotThrow(() => { checkSignedLink(settings, { ...good, signature: good.signature.toUpperCase() }, now) })
  const bad: Array<[object, RegExp]> = [
    [{ ...good, paths: ['/api/iso/print'] }, /signature/], [{ ...good, accessionNumbers: 'B' }, /signature/], [{ ...good, accessionNumbers: 'A,B' }, /signature/],
    [{ ...good, expires: '1700000061' }, /signature/], [{ ...good, signature: '' }, /signature/], [{ ...good, signature: good.signature.slice(2) }, /signature/],
    [{ ...good, signature: `${good.signature}00` }, /signature/], [signed('/api/iso/download', 'A', '1700000060', `${SECRET}x`), /signature/],
    [signed('/api/iso/download', 'A', '1700000000'), /good until 2023-11-14T22:13:20.000Z/], [signed('/api/iso/download', 'A', '1e10'), /signature/], [signed('/api/iso/download', 'A', ''), /signature/],
    [{ ...good, once: 'f'.repeat(32) }, /signature/],
    [signed('/api/iso/download', 'A', '1700003601'), /longer than/]
  ]
  for (const [link, reason] of bad) {
    try {
      checkSignedLink(settings, { ...good, ...link }, now)
      const expired = expiryFault({ ...good, ...link }, now)
      if (expired !== undefined) throw expired
      t.fail(JSON.stringify(link))
    } catch (error) {
      t.match(error instanceof MkisoError ? error.detail : error, reason, JSON.stringify(link))
    }
  }
})

t.test('signed links: a link to a whole study opens a part of it, one to a part no more than that', async t => {
  const settings = { secret: SECRET, maxAgeMs: 3_600_000 }
  const now = 1_700_000_000_000
  const terms = { path: '/api/iso/download', accessionNumbers: 'A', expires: '1700000060' }
  const opens = (signed: object, asked: object): boolean => {
    try {
      checkSignedLink(settings, { paths: ['/download', terms.path], ...terms, ...asked, signature: signatureOf(SECRET, { ...terms, ...signed }) }, now)
      return true
    } catch { return false }
  }
  t.ok(opens({}, { modality: 'SR' }))
  t.ok(opens({ path: '/download' }, { series: '1.2,1.3' }), 'the page, too')
  t.ok(opens({ modality: 'SR' }, { modality: 'SR' }))
  t.ok(opens({ once: 'a' }, { once: 'a', series: '1.2' }))
  for (const asked of [{}, { modality: 'CT' }, { modality: 'SR,CT' }, { series: '1.2' }]) t.notOk(opens({ modality: 'SR' }, asked), JSON.stringify(asked))
  t.notOk(opens({ modality: 'SR', series: '1.2' }, { modality: 'SR' }))
  t.notOk(opens({ once: 'a' }, {}), 'that it is good once cannot be left out')
  t.notOk(opens({ once: 'a' }, { once: 'b' }))
  t.notOk(opens({ path: '/print' }, {}))
})

t.test('the service: keys, links, and the examples that a HIS can take over', async t => {
  // nobody is at the PACS: 502 says that the request was let in
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort(), {
    auth: { enabled: true, api_key: 'original', keys: [{ name: 'ward-7', key: 'named' }], signed_links: { secret: SECRET, max_age: '2h' } }
  })
  const programs = programsOf(t)
  const status = async (path: string, key?: string): Promise<number> => {
    const answer = await request(mkiso.url + path, { headers: key === undefined ? {} : { 'x-api-key': key } })
    await answer.body.dump()
    return answer.statusCode
  }
  const PATH = '/api/iso/download?accession_number=A'
  t.equal(await status(PATH), 401)
  t.equal(await status(PATH, 'wrong'), 401)
  t.equal(await status(PATH, 'original'), 502)
  t.equal(await status(PATH, 'named'), 502)
  t.ok(mkiso.log.some(({ msg, key }) => msg === 'request ended' && key === 'ward-7'), 'the log names the key')

  const link = async (program: string, file: string, ...args: string[]): Promise<string> =>
    (await programs.run(program, [join(EXAMPLES, file), ...args], { env: { MKISO_LINK_SECRET: SECRET } })).stdout.trim()
  const EXAMPLE: Array<[string, string]> = [['php', 'signed-link.php'], ['python3', 'signed-link.py'], ['sh', 'signed-link.sh']]
  for (const [program, file] of EXAMPLE) {
    const one = await link(program, file, '', '/api/iso/download', 'RAD 2024/1 (a)+b')
    t.equal(await status(one), 502, `${file}: ${one}`)
    t.equal(await status(one.replace('accession_number=', 'accession_number=X')), 401, 'another accession number')
    t.equal(await status(one.replace('download', 'print')), 401, 'another route')
    t.equal(await status(`${one}&accession_number=B`), 401, 'one more')
    t.equal(await status(`${one}&accession_numbers=B`), 401, 'one more under the other name')
    t.equal(await status(`${one}&disc=2`), 502, 'a disc of the set')
    t.equal(await status(one.replace(/expires=\d+/, 'expires=9999999999')), 401, 'for ever')
    t.equal(await status(one.replace('/api/iso/download', '/download')), 200, 'the page of the download')
    t.equal(await status(one.replace('/api/iso/download', '/api/iso/progress')), 200, 'and its progress')
    t.equal(await status(one.replace('/api/iso/download', '/api/iso/studies')), 502, 'and whose studies it lists')
    t.equal(await status(one.replace('/api/iso/download', '/api/iso/print/jobs')), 401, 'not what belongs to a print')
    const page = await link(program, file, '', '/download', 'RAD 2024/1 (a)+b')
    t.equal(await status(page), 200, `${file}: a link to the page`)
    t.equal(await status(page.replace('/download', '/api/iso/progress')), 200, 'its progress')
    t.equal(await status(page.replace('/download', '/api/iso/download')), 502, 'the download that it leads to')
    t.equal(await status(page.replace('/download', '/api/iso/download').replace('accession_number=', 'accession_number=X')), 401, 'and of nothing else')
    t.equal(await status(page.replace('/download', '/api/iso/print')), 401, 'nor a print')
    const list = await link(program, file, '', '/api/iso/download-multiple', 'A,B')
    t.equal(await status(list), 502, `${file}: a list`)
    t.equal(await status(list.replace('accession_number=', 'accession_numbers=')), 502, 'under the other name')
    t.equal(await status(await link(program, file, '', '/api/iso/download', 'A', '-5')), 401, `${file}: expired`)
    t.equal(await status(await link(program, file, '', '/api/iso/download', 'A', '9000')), 401, `${file}: longer than max_age`)
  }
  t.ok(mkiso.log.some(({ msg, key }) => msg === 'request ended' && key === 'signed link'))
  const log = JSON.stringify(mkiso.log)
  t.notMatch(log, /original|"named|signature=/, 'neither key nor signature in the log')
})
