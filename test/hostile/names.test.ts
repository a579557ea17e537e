/** What a patient API, a PACS or a person calls themselves: no header, file name, command line or log suffers from it. */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { create as contentDisposition } from 'content-disposition'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { startPatientApi } from '../../demo/patient-api.ts'
import { freePort } from '../../demo/ports.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { isoFileNameForPatient } from '../../src/disc/file-name.ts'
import { processesOfGroup } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { cutText } from '../../src/text.ts'
import { startGate } from '../screens/gate.ts'
import { service, temporaryFolder, world } from '../world.ts'
import { headFault, raw } from './raw.ts'

const NAMES = [
  'A\r\nX-EVIL: 1', 'A\nX-EVIL: 1', 'A\rX-EVIL: 1', '\r\n\r\n<html>EVIL', 'A\0B', 'A\x1b[31mB', '\x7f', '\x85A', '\u2028A', '\u2029A', 'A"; filename="EVIL.exe', "A'; filename*=UTF-8''EVIL.exe", 'A\\"B', 'A;B=C', '../../EVIL', '..\\..\\EVIL', '/etc/passwd',
  'C:\\EVIL', '.', '..', '...', '', ' ', '\u202EEVIL', '\u2066A\u2069', '\uFEFFA', '\u200B', '\uD800', 'A\uDFFFB', 'CON', 'A%0d%0aB', '%00', '嘊嘍X-EVIL: 1', 'Ā\u010D\u010AB', 'ĊX', 'é'.repeat(500), '山田'.repeat(200), '😀'.repeat(200), `A${'😀'.repeat(200)}`, 'A'.repeat(60_000), '$(id)`id`', '<script>EVIL</script>', "O'Brien, Ümit"
]

const KEY = 'a-key-that-nobody-may-see'
const TOKEN = 'a-token-that-nobody-may-see'
const ACCESSION_NUMBER = 'MR.2024.001'

const shown = (name: string): string => JSON.stringify(name).slice(0, 40).replace(/[^\x20-\x7e]/g, character => `\\u${character.charCodeAt(0).toString(16)}`)

function checkDisposition (t: Pick<Test, 'notMatch' | 'match'>, name: string, disposition: string): void {
  const fileNames = [/filename="((?:[^"\\]|\\.)*)"/.exec(disposition)?.[1], /filename=([^";]+)(?:;|$)/.exec(disposition)?.[1], decodeURIComponent(/filename\*=UTF-8''([^;]*)/.exec(disposition)?.[1] ?? '')]
  t.match(disposition, /^attachment; filename[=*][\x20-\x7e]+$/, `${shown(name)}: a header of ASCII`)
  for (const fileName of fileNames.filter(text => text !== undefined && text !== '')) {
    t.notMatch(fileName, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}/\\:]|^\.|\.exe$/u, `${shown(name)} becomes ${shown(String(fileName))}`)
    t.match(fileName, /^.{1,160}\.iso$/u)
  }
}

t.test(`${NAMES.length} names as a file name`, async t => {
  for (const name of NAMES) checkDisposition(t, name, contentDisposition(`${isoFileNameForPatient(name, [ACCESSION_NUMBER])}.iso`))
})

t.test('a text is never cut inside a surrogate pair: the file name of such a patient was answered with 500', async t => {
  const text = fc.string({ unit: fc.oneof(fc.constantFrom('😀', '𠮷', 'A', '山'), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })), maxLength: 200 })
  fc.assert(fc.property(text, fc.nat(160), (name, most) => {
    const cut = cutText(name, most)
    return name.startsWith(cut) && cut.length <= most && cut.length >= Math.min(name.length, most) - 1 && cut.isWellFormed()
  }))
  fc.assert(fc.property(text, fc.array(text, { minLength: 1, maxLength: 20 }), (name, accessionNumbers) => {
    contentDisposition(`${isoFileNameForPatient(name, accessionNumbers)}.iso`)
  }))
  t.equal(cutText('A😀', 2), 'A')
})

t.test('names', async t => {
  const studies = demoStudies().filter(({ accessionNumber }) => accessionNumber === ACCESSION_NUMBER)
  const receiverPort = await freePort()
  const toReceiver = await freePort()
  const atReceiver = await startGate(t, toReceiver, receiverPort)
  const here = await world(t, 'dcmqrscp', { studies, receiverPort: toReceiver })
  const patients = new Map([[ACCESSION_NUMBER, 'SITI RAHAYU']])
  const api = await startPatientApi(patients)
  t.teardown(async () => { await api.close() })
  const publisher = await startPublisher({ programs: here.programs, dir: temporaryFolder(t, 'publisher') })
  // as main.ts does, and as a site may give its key
  process.umask(0o077)
  process.env['MKISO_AUTH__API_KEY'] = KEY
  const mkiso = await service(t, here.pacs, receiverPort, {
    auth: { enabled: true, api_key: KEY }, patient_api: { base_url: api.baseUrl, required: true, token: TOKEN }, cd_publisher: { host: '127.0.0.1', port: publisher.port }, iso: { keep_for: '5m' }, disc: { web_content: 'all' }
  })
  const port = Number(new URL(mkiso.url).port)
  const ask = async (path: string, method = 'GET'): ReturnType<typeof raw> => await raw(port, Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: ${KEY}\r\n\r\n`))
  const DOWNLOAD = `/api/iso/download-multiple?accession_numbers=${ACCESSION_NUMBER}`

  t.test('while a disc is made and printed: modes of files, command lines and environments of programs', async t => {
    const open: string[] = []
    const told: string[] = []
    const programs = new Set<string>()
    let files = 0
    let arriving = 0
    const look = (): void => {
      for (const { path, mode, directory } of walk(mkiso.app.workDir)) {
        files++
        if (path.includes('/receive_') && !directory) arriving++
        if ((mode & 0o777) !== (directory ? 0o700 : 0o600)) open.push(`${path} ${(mode & 0o777).toString(8)}`)
      }
      for (const pid of mkiso.app.dcmtk.programs.pids.flatMap(processesOfGroup)) {
        const commandLine = read(`/proc/${pid}/cmdline`)
        const program = commandLine.split('\0').find(word => word.includes('/') && !word.endsWith('setpriv'))?.split('/').at(-1)
        if (program !== undefined) programs.add(program)
        if (/RAHAYU|nobody-may-see/.test(commandLine + read(`/proc/${pid}/environ`))) told.push(commandLine.replaceAll('\0', ' '))
      }
    }
    atReceiver.allow(0)
    const working = Promise.all([ask(DOWNLOAD), ask(`/api/iso/print?accession_number=${ACCESSION_NUMBER}`)])
    let done = false
    void working.finally(() => { done = true })
    // an object that comes whole is kept before anybody looks: they come by less than half of one at a time
    t.ok(await eventually(() => { atReceiver.allow(10_000); look(); return arriving > 0 }, 1), 'a file is seen while it arrives')
    atReceiver.open()
    await eventually(() => { look(); return done }, 1)
    look()
    t.strictSame((await working).map(({ status }) => status), [200, 200])
    t.strictSame([...new Set(open)], [], 'folders 0700, files 0600')
    t.strictSame(told, [], 'nothing in a command line or an environment')
    t.ok(files > 24 && programs.has('movescu') && programs.size > 2, `looked at ${files} files and ${[...programs].sort().join(', ')}`)
  })

  t.test('names from the patient API, through to the answer', async t => {
    for (const name of NAMES.slice(0, 11)) {
      patients.set(ACCESSION_NUMBER, name)
      const answer = await ask(DOWNLOAD, 'HEAD')
      t.equal(answer.status, 200, shown(name))
      t.equal(headFault(answer), undefined, `${shown(name)}: no control character in a header`)
      t.equal(answer.headers.get('x-evil'), undefined)
      checkDisposition(t, name, answer.headers.get('content-disposition') ?? '')
    }
    patients.set(ACCESSION_NUMBER, 'SITI RAHAYU')
  })

  t.test('errors and log: neither names nor secrets', async t => {
    for (const mode of ['error', 'nonsense', 'another-patient'] as const) {
      api.mode = mode
      t.notMatch((await ask(DOWNLOAD)).body, /RAHAYU|SOMEBODY|nobody-may-see|login/, mode)
    }
    api.mode = 'ok'
    // an image that the PACS has lost: what its refusal makes the tools say
    const victim = await here.pacs.pathOf(here.instances[3]?.sopInstanceUid ?? '')
    const fresh = await service(t, here.pacs, await freePort(), { auth: { enabled: true, api_key: KEY }, log: { level: 'trace' }, patient_api: { base_url: api.baseUrl, required: true, token: TOKEN }, pacs: { retrieve: 'get' } })
    rmSync(victim ?? '')
    const failed = await fetch(`${fresh.url}${DOWNLOAD}`, { headers: { 'x-api-key': KEY } })
    t.equal(failed.status, 502)
    t.notMatch(await failed.text(), /RAHAYU|nobody-may-see/)
    for (const log of [mkiso.log, fresh.log]) {
      t.ok(log.length > 10)
      t.notMatch(JSON.stringify(log), /RAHAYU|SOMEBODY|EVIL|nobody-may-see/, 'nor in the log')
    }
    const metrics = await ask('/metrics')
    t.match(metrics.body, /mkiso_/)
    t.notMatch(metrics.body, /RAHAYU|nobody-may-see|MR\.2024/, 'nor in the metrics')
  })
})

function * walk (folder: string): Generator<{ path: string, mode: number, directory: boolean }> {
  for (const name of ['', ...list(folder)]) {
    const path = join(folder, name)
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) continue
    yield { path, mode: found.mode, directory: found.isDirectory() }
    if (name !== '' && found.isDirectory()) yield * walk(path)
  }
}

function list (folder: string): string[] {
  try { return readdirSync(folder) } catch { return [] }
}

function read (path: string): string {
  try { return readFileSync(path, 'utf8') } catch { return '' }
}
