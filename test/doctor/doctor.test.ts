/** `mkiso doctor` against real PACS, with and without our AE title, and a machine with faults. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDcmqrscp, type Destination, type Pacs, type PacsOptions } from '../../demo/pacs.ts'
import { startOrthanc } from '../../demo/orthanc.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort } from '../../demo/ports.ts'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { parseConfig } from '../../src/config/load.ts'
import { examine } from '../../src/doctor/doctor.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { command, patientApi, programsOf, service, temporaryFolder, type Overrides } from '../world.ts'

const ACCESSION = 'CR.2024.010'

t.test('doctor', async t => {
  const folder = temporaryFolder(t, 'doctor')
  const programs = programsOf(t)
  const receiverPort = await freePort()
  const phantoms = join(folder, 'phantoms')
  const tempDir = join(folder, 'work')
  for (const path of [phantoms, tempDir]) mkdirSync(path)
  const [study] = demoStudies().filter(({ accessionNumber }) => accessionNumber === ACCESSION)
  if (study === undefined) throw new Error('no such phantom')
  const files = (await writeStudy(study, phantoms, programs)).map(({ path }) => path)
  const us: Destination = { aeTitle: 'CDRECORD', host: '127.0.0.1', port: receiverPort }
  const other: Destination = { aeTitle: 'OTHER', host: '127.0.0.1', port: 9 }

  const pacsWith = async (name: string, start: (options: PacsOptions) => Promise<Pacs>, destinations: Destination[]): Promise<Pacs> => {
    const dir = join(folder, name)
    mkdirSync(dir)
    const pacs = await start({ programs, dir, destinations })
    await pacs.store(files)
    return pacs
  }

  const ask = async (pacs: Pick<Pacs, 'aeTitle' | 'host' | 'port'>, accessionNumber: string | null = ACCESSION, overrides: Overrides = {}): Promise<Map<string, Finding>> => {
    const settings: Overrides = {
      server: { host: '127.0.0.1', port: await freePort() },
      pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, settle_timeout: '1s' },
      our_ae: { base_port: receiverPort },
      patient_api: { base_url: 'http://127.0.0.1:9/api', retries: 0 },
      cd_publisher: { host: '127.0.0.1', port: 9 },
      iso: { temp_dir: tempDir, microdicom_path: '' }
    }
    for (const [section, keys] of Object.entries(overrides)) settings[section] = { ...settings[section], ...keys }
    const findings = await examine(parseConfig(JSON.stringify(settings), 'doctor.yaml', { env: {} }), {
      file: 'doctor.yaml', accessionNumber: accessionNumber ?? undefined, serviceUrl: undefined, signal: new AbortController().signal, onFinding: () => {}
    })
    t.strictSame(readdirSync(tempDir), [], 'nothing is left')
    return new Map(findings.map(finding => [finding.name, finding]))
  }

  const names = (t: Test, finding: Finding | undefined, port = receiverPort): void => {
    t.equal(finding?.status, 'down')
    const advice = finding?.advice?.join('\n')
    t.match(advice, new RegExp(`add at the PACS: AE title CDRECORD, host 127\\.0\\.0\\.1, port ${port}`), 'the exact entry')
    t.match(advice, `mkiso = (CDRECORD, 127.0.0.1, ${port})`)
    t.match(advice, `"DicomModalities": { "mkiso": ["CDRECORD", "127.0.0.1", ${port}] }`)
    t.match(advice, `AE Title CDRECORD, Hostname 127.0.0.1, Port ${port}`)
  }

  t.test('dcmqrscp that knows us, and everything else is right', async t => {
    const pacs = await pacsWith('dcmqrscp', startDcmqrscp, [us])
    const api = await patientApi(t, { [ACCESSION]: { name: 'SITI RAHAYU', medrecId: 12345 } })
    const dir = join(folder, 'publisher')
    mkdirSync(dir)
    const publisher = await startPublisher({ programs, dir })
    const viewer = temporaryFolder(t, 'viewer')
    const findings = await ask(pacs, ACCESSION, {
      patient_api: { base_url: api.baseUrl }, cd_publisher: { port: publisher.port, ae_title: publisher.aeTitle }, iso: { microdicom_path: viewer, keep_max_bytes: '1M' }, disc: { institution: 'A hospital' }
    })
    t.strictSame([...findings.values()].filter(({ status }) => status !== 'ok'), [])
    t.match(findings.get('PACS C-MOVE')?.detail, 'an image was asked for and came')
    t.match(findings.get('patient API')?.detail, /is not known to it, and it answers in/)
    t.equal(findings.get('HIS record')?.detail, `${ACCESSION} has patient_name of 2 words, medrec_id of 5 characters, reg_id, modality`, 'what was understood, and no value')
    api.mode = 'html-404'
    t.match((await ask(pacs, ACCESSION, { patient_api: { base_url: api.baseUrl } })).get('patient API'), { status: 'down', advice: [/base_url right/, /check/] })
    api.mode = 'ok'
    t.match((await ask(pacs, 'NONE', { patient_api: { base_url: api.baseUrl } })).get('HIS record'), { status: 'unknown' })
    t.match(findings.get('DCMTK')?.detail, /^3\.6\.\d+, \d+ programs$/)
    t.equal((await ask(pacs, 'NONE')).get('PACS C-FIND')?.status, 'down', 'an accession number that the PACS does not have')
    t.match((await ask(pacs, ACCESSION, { pacs: { retrieve: 'get' } })).get('PACS C-GET'), { status: 'ok', detail: /came/ })
    // it sends to the port that it knows, not to ours
    const port = await freePort()
    names(t, (await ask(pacs, ACCESSION, { our_ae: { base_port: port } })).get('PACS C-MOVE'), port)
  })

  t.test('dcmqrscp that lacks our AE title', async t => {
    const pacs = await pacsWith('dcmqrscp-other', startDcmqrscp, [other])
    const findings = await ask(pacs)
    t.match(findings.get('PACS C-MOVE')?.detail, /does not know the move destination CDRECORD \(0xA801\)/)
    names(t, findings.get('PACS C-MOVE'))
    t.match((await ask({ ...pacs, aeTitle: 'WRONG' })).get('PACS C-ECHO'), { status: 'down', advice: [/set pacs.ae_title/] })
  })

  t.test('Orthanc that knows us', async t => {
    const pacs = await pacsWith('orthanc', startOrthanc, [us])
    t.match((await ask(pacs)).get('PACS C-MOVE'), { status: 'ok' })
    t.match((await ask(pacs, null)).get('PACS C-MOVE'), { status: 'unknown', detail: /0xC000 for a study that does not exist/, advice: [/doctor --accession/, /what the PACS must have: AE title CDRECORD/] })
  })

  t.test('Orthanc that lacks our AE title: one that lets everybody query, and one that does not', async t => {
    names(t, (await ask(await pacsWith('orthanc-other', startOrthanc, [other]))).get('PACS C-MOVE'))
    const strict = { DicomAlwaysAllowFind: false, DicomAlwaysAllowMove: false, DicomAlwaysAllowGet: false }
    const findings = await ask(await pacsWith('orthanc-strict', async options => await startOrthanc(options, strict), [other]))
    t.equal(findings.get('PACS C-ECHO')?.status, 'ok', 'an echo says nothing about rights')
    names(t, findings.get('PACS C-FIND'))
  })

  t.test('the command, beside a running service', async t => {
    const pacs = await pacsWith('beside', startDcmqrscp, [us, { ...us, aeTitle: 'CDREC0' }])
    const running = await service(t, pacs, receiverPort)
    const file = join(folder, 'beside.yaml')
    const port = (running.app.server.address() as AddressInfo).port
    const configure = (overrides: Overrides): void => {
      writeFileSync(file, JSON.stringify({
        server: { host: '127.0.0.1', port }, pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port }, our_ae: { base_port: receiverPort },
        patient_api: { base_url: 'http://127.0.0.1:9/api', retries: 0 }, cd_publisher: { host: '127.0.0.1', port: 9 }, iso: { temp_dir: tempDir, microdicom_path: '' }, ...overrides
      }))
    }
    configure({})
    const shown = await command(t, ['doctor', '--config', file, '--accession', ACCESSION])
    t.equal(shown.code, 4, 'the publisher is down')
    t.match(shown.out, /^ok +HTTP port +\d+: the service runs$/m)
    t.match(shown.out, /^ok +receiver port +\d+: the service has it$/m)
    t.match(shown.out, /^ok +PACS C-MOVE +an image was asked for and came$/m)
    t.match(shown.out, /^FAIL +CD publisher .*\n +check cd_publisher/m)
    t.match(shown.out, /\n\d+ ok, 1 warnings, 0 could not be told, 2 to change\n$/)
    configure({ metrics: { enabled: false } })
    t.match((await command(t, ['doctor', '--config', file, '--accession', ACCESSION])).out, /^\? +PACS C-MOVE +an image was asked for .*only the running service knows/m)
    await running.app.close()
    configure({})
    const blocked = createServer(socket => { socket.destroy() }).listen(receiverPort)
    t.match((await command(t, ['doctor', '--config', file, '--accession', ACCESSION])).out, /^\? +PACS C-MOVE +not tried: our receiver cannot listen on port \d+/m)
    await new Promise(resolve => { blocked.close(resolve) })
    configure({ our_ae: { base_port: receiverPort, allow_from: ['10.0.0.0/8'] } })
    t.match((await command(t, ['doctor', '--config', file, '--accession', ACCESSION])).out, /^FAIL +PACS C-MOVE .*\n +connections from 127\.0\.0\.1 were turned away: add it to our_ae\.allow_from$/m)
    configure({ our_ae: { ae_title: 'CDREC{n}', base_port: receiverPort, port_range: 1 }, patient_api: { required: false } })
    const json = JSON.parse((await command(t, ['doctor', '--json', '--config', file, '--accession', ACCESSION])).out) as { findings: Finding[] }
    t.match(json.findings.find(({ name }) => name === 'PACS C-MOVE'), { status: 'ok', detail: 'an image was asked for and came' })
  })

  t.test('a machine with faults', async t => {
    const squatter = createServer()
    await new Promise<void>(resolve => { squatter.listen(0, '127.0.0.1', resolve) })
    t.teardown(() => { squatter.close() })
    const { port } = squatter.address() as AddressInfo
    const tool = join(folder, 'broken')
    writeFileSync(tool, '#!/bin/sh\nexit 1\n')
    chmodSync(tool, 0o755)
    const findings = await ask({ aeTitle: 'ABPACS', host: '127.0.0.1', port: await freePort() }, ACCESSION, {
      server: { port }, dcmtk: { findscu: tool }, disc: { allow_incomplete: true }, iso: { microdicom_path: '/nowhere' }
    })
    t.match(findings.get('PACS C-ECHO'), { status: 'down', detail: /Connection refused/, advice: [/pacs.host and pacs.port/] })
    t.match(findings.get('HTTP port'), { status: 'down', detail: new RegExp(`${port} is taken by .* \\(process ${process.pid}\\)`) })
    t.match(findings.get('DCMTK'), { status: 'down', detail: /broken cannot be run: C-FIND/, advice: [/apt-get install dcmtk/] })
    t.match(findings.get('CD publisher'), { status: 'down', detail: /Connection refused/, advice: [/cd_publisher/] })
    t.match(findings.get('patient API'), { status: 'down', advice: [/patient_api/] })
    t.match(findings.get('viewer'), { status: 'warning' })
    t.match(findings.get('configuration'), { status: 'warning' })
  })
})
