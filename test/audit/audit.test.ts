/** The audit trail: the standard's XML, syslog as its RFCs have it, JSON lines; and nothing leaves without a record where one is required. */
import { mkdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort } from '../../demo/ports.ts'
import type { AuditEvent } from '../../src/audit/event.ts'
import { auditMessage } from '../../src/audit/message.ts'
import { parseSyslogTarget, syslogMessage, SyslogSender } from '../../src/audit/syslog.ts'
import { ConfigError, parseConfig } from '../../src/config/load.ts'
import { silentLog } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, programsOf, service, temporaryFolder, world } from '../world.ts'
import { schemaFaults, streamRepository, udpRepository, xmlOf } from './receivers.ts'

const SOURCE = { sourceId: 'test', hostName: 'machine', processName: 'mkiso-server', aeTitle: 'CDRECORD' }
const PATIENT = { patientId: 'P1', issuerOfPatientId: '', patientName: 'RAHAYU^SITI', birthDate: '', sex: '' }
const EVENT: AuditEvent = {
  kind: 'download', phase: 'end', at: new Date('2026-01-02T03:04:05.678Z'), requestId: 'r', activityId: 'a', caller: { address: '10.0.0.1', credential: 'his', user: undefined }, accessionNumbers: ['A'],
  studies: [{ studyInstanceUid: '1.2.3', accessionNumber: 'A', description: '', patient: PATIENT, archives: ['main'], silent: ['old'], instances: new Map([['1.2.840.10008.5.1.4.1.1.2', 24], ['', 1]]) }],
  disc: { number: 1, of: 2, format: 'iso', encrypted: false, sizeBytes: 1_000, etag: '"abc"', range: undefined }, destination: undefined, outcome: 'success', code: undefined, sentBytes: 1_000, sentInstances: undefined
}

t.test('every message validates against the schema of PS3.15 A.5.1', async t => {
  const programs = programsOf(t)
  const [study] = EVENT.studies
  if (study === undefined) throw new Error('no study')
  const evil = 'A\0\x1b]]>&<"\'\r\n\t\uD800\uFFFE山田'
  const print: AuditEvent = { ...EVENT, kind: 'print', disc: undefined, destination: { aeTitle: 'CDPUBLISHER', address: '10.0.0.9:104' }, sentBytes: undefined, sentInstances: 25 }
  const events: AuditEvent[] = [
    EVENT, print, { ...print, phase: 'begin', outcome: undefined }, { ...print, outcome: 'failed', code: 'CD_PUBLISHER_REFUSED' },
    { ...EVENT, outcome: 'aborted', sentBytes: 10 }, { ...EVENT, outcome: 'failed', code: 'NO_DICOM_DATA', studies: [], disc: undefined, sentBytes: undefined },
    { ...EVENT, disc: { number: 1, of: 1, format: 'iso', encrypted: false, sizeBytes: 1_000, etag: '"abc"', range: { first: 500, last: 999 } } },
    { ...EVENT, kind: 'look', phase: 'begin', outcome: undefined, sentBytes: undefined },
    { ...EVENT, kind: 'query', activityId: undefined, disc: undefined, sentBytes: undefined, accessionNumbers: ['A', evil] }, { ...EVENT, kind: 'query', studies: [], disc: undefined },
    { ...EVENT, caller: { address: '::1', credential: undefined, user: evil }, studies: [{ ...study, description: evil, accessionNumber: evil, archives: ['main'], silent: ['old'], instances: new Map(), patient: { ...PATIENT, patientId: '', issuerOfPatientId: evil, patientName: evil } }] }
  ]
  const messages = events.map(event => auditMessage(event, SOURCE) ?? '')
  t.equal(await schemaFaults(programs, messages), '')
  t.equal(auditMessage({ ...EVENT, phase: 'begin' }, SOURCE), undefined, 'the standard has no message for the begin of an export')
  const [first = '', second = '', third = '', , aborted = '', nothing = '', part = '', look = '', query = ''] = messages
  t.match(first, /EventActionCode="R" EventDateTime="2026-01-02T03:04:05.678Z" EventOutcomeIndicator="0"><EventID csd-code="110106" codeSystemName="DCM" originalText="Export"\/>/)
  for (const what of ['UserID="his" UserIsRequestor="true" NetworkAccessPointID="10.0.0.1"', 'csd-code="110154"', 'csd-code="110037"', 'csd-code="110180"', 'ParticipantObjectID="P1"', 'ParticipantObjectID="1.2.3"', '<SOPClass UID="1.2.840.10008.5.1.4.1.1.2" NumberOfInstances="24"/>']) {
    t.ok(first.includes(what), what)
  }
  t.match(second, /EventActionCode="C"[^>]*><EventID csd-code="110104"/)
  t.match(third, /EventActionCode="E"[^>]*><EventID csd-code="110102"/)
  t.match(aborted, /EventOutcomeIndicator="4".*the client has left/)
  t.match(nothing, /EventOutcomeIndicator="8".*NO_DICOM_DATA/)
  t.match(part, /bytes 500-999 of 1000/)
  t.match(look, /EventActionCode="R"[^>]*><EventID csd-code="110103" codeSystemName="DCM" originalText="DICOM Instances Accessed"\/>/)
  t.match(query, /EventActionCode="E"[^>]*><EventID csd-code="110112".*ParticipantObjectID="1.2.3".*ParticipantObjectID="P1"/)
  // the judge can say no
  for (const broken of [first.replace(/ UserIsRequestor="\w+"/, ''), first.replace('EventOutcomeIndicator="0"', 'EventOutcomeIndicator="1"'), first.replace(/<ParticipantObjectName>.*?<\/ParticipantObjectName>/, ''), first.replace('csd-code=', 'code=')]) {
    t.not(await schemaFaults(programs, [broken]), '', 'what is broken does not validate')
  }
})

t.test('what the configuration refuses', async t => {
  const cases: Array<[object, string | RegExp]> = [
    [{ required: true }, 'mkiso.yaml:1: audit.required is true, but audit.file is empty: only a file tells whether a record was written'],
    [{ file: '/nowhere/audit.jsonl' }, /audit.file \/nowhere\/audit.jsonl is not in a folder/],
    [{ syslog: 'audit.example' }, /audit.syslog: "audit.example" is not an address such as tls:/],
    [{ syslog: 'http://audit.example' }, /audit.syslog/], [{ syslog: 'tls://a', syslog_ca: '/nowhere' }, /audit.syslog_ca \/nowhere cannot be read/],
    [{ syslog: 'udp://a', syslog_ca: import.meta.filename }, /audit.syslog_ca is set, but audit.syslog is not tls/], [{ syslog: 'tls://a', syslog_key: import.meta.filename }, /go together/]
  ]
  for (const [audit, fault] of cases) {
    try {
      parseConfig(JSON.stringify({ audit, iso: { temp_dir: '/tmp' } }), 'mkiso.yaml', { env: {} })
      t.fail(JSON.stringify(audit))
    } catch (error) { t.match(error instanceof ConfigError && error.faults, [fault]) }
  }
  t.strictSame(parseSyslogTarget('tls://audit.example'), { protocol: 'tls', host: 'audit.example', port: 6514 })
  t.strictSame(parseSyslogTarget('udp://[::1]:5514'), { protocol: 'udp', host: '::1', port: 5514 })
  t.equal(parseSyslogTarget('tcp://a:0'), undefined)
})

t.test('syslog over TCP and TLS; a repository that was away', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'certificates')
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  await programs.run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'])
  const tls = { key: readFileSync(key), cert: readFileSync(cert), ca: readFileSync(cert), requestCert: true, rejectUnauthorized: true }
  const xml = auditMessage({ ...EVENT, studies: EVENT.studies.map(study => ({ ...study, description: '山田'.repeat(3_000) })) }, SOURCE) ?? ''
  const message = syslogMessage(xml, { hostName: 'machine', appName: 'mkiso-server', at: EVENT.at })
  t.equal(xmlOf(message), xml)
  for (const protocol of ['tcp', 'tls'] as const) {
    const port = await freePort()
    const sender = new SyslogSender({ protocol, host: 'localhost', port, ...(protocol === 'tls' ? { ca: cert, cert, key } : {}) }, silentLog)
    sender.send(message)
    const first = await streamRepository(protocol === 'tls' ? tls : undefined, port)
    t.ok(await eventually(() => first.messages.length === 1), `${protocol}: comes when the repository is there`)
    for (let n = 0; n < 50; n++) sender.send(message)
    t.ok(await eventually(() => first.messages.length === 51), `${protocol}: 50 more`)
    t.ok(first.messages.every(one => one === message))
    await first.close()
    const second = await streamRepository(protocol === 'tls' ? tls : undefined, port)
    // what goes out on the broken connection before it is seen to be broken is lost: syslog has no acknowledgement
    t.ok(await eventually(() => {
      sender.send(message)
      return second.messages.length > 0
    }, 100), `${protocol}: goes on after the repository was away`)
    await sender.close()
    await second.close()
  }
  const port = await freePort()
  const stranger = await streamRepository(tls, port)
  const errors: object[] = []
  const sender = new SyslogSender({ protocol: 'tls', host: 'localhost', port, cert, key }, { ...silentLog, error: fields => { errors.push(fields) } })
  sender.send(message)
  t.ok(await eventually(() => errors.length > 0))
  t.match(errors, [{ err: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } }], 'a certificate that nobody vouches for: nothing is sent')
  t.strictSame(stranger.messages, [])
  await stranger.close()
  await sender.close()
})

t.test('downloads and prints', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => /^(MR\.2024\.001|CT\.2024\.200)/.test(accessionNumber)) })
  const publisher = await startPublisher({ programs: here.programs, dir: temporaryFolder(t, 'publisher') })
  const repository = await udpRepository()
  t.teardown(async () => { await repository.close() })
  const folder = join(here.folder, 'audit')
  mkdirSync(folder)
  const file = join(folder, 'audit.jsonl')
  const mkiso = await service(t, here.pacs, here.receiverPort, {
    auth: { enabled: true, keys: [{ name: 'ward-7', key: 'secret' }] },
    cd_publisher: { host: '127.0.0.1', port: publisher.port },
    iso: { keep_for: '5m' },
    audit: { file, required: true, syslog: `udp://127.0.0.1:${repository.port}`, user_header: 'X-Remote-User' }
  })
  let read = 0
  /** The next records, and their XML. */
  const next = async (count: number): Promise<Array<Record<string, unknown>>> => {
    await eventually(() => readFileSync(file, 'utf8').split('\n').length > read + count)
    const lines = readFileSync(file, 'utf8').split('\n').slice(read, -1).map(line => JSON.parse(line) as Record<string, unknown>)
    read += lines.length
    return lines
  }
  const ask = async (path: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') => {
    const answer = await request(`${mkiso.url}/api/iso/${path}`, { method, headers: { 'x-api-key': 'secret', ...headers } })
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
  }
  const MR = 'download?accession_number=MR.2024.001'

  t.test('a download: before and after', async t => {
    const answer = await ask(MR, { 'x-forwarded-for': '10.1.2.3', 'x-remote-user': 'siti@ward' })
    t.equal(answer.status, 200)
    const common = {
      event: 'export', key: 'ward-7', user: 'siti@ward', address: '10.1.2.3', accession_numbers: ['MR.2024.001'], request_id: answer.headers['x-request-id'], patients: [{ name: 'RAHAYU^SITI' }],
      studies: [{ accession_number: 'MR.2024.001', instances: 24 }], disc: { number: 1, of: 1, size_bytes: answer.body.length, etag: answer.headers['etag'] }
    }
    t.match(await next(2), [{ ...common, phase: 'begin' }, { ...common, phase: 'end', outcome: 'success', sent_bytes: answer.body.length }])
    t.equal(statSync(file).mode & 0o777, 0o600)
  })

  t.test('a part, as a download that goes on; HEAD is no download', async t => {
    const [whole, head] = [await ask(MR), await ask(MR, {}, 'HEAD')]
    t.equal(head.status, 200)
    await next(2)
    const answer = await ask(MR, { range: `bytes=${whole.body.length - 1_000}-`, 'if-range': String(whole.headers['etag']) })
    t.equal(answer.status, 206)
    const disc = { etag: whole.headers['etag'], first_byte: whole.body.length - 1_000, last_byte: whole.body.length - 1 }
    t.match(await next(2), [{ phase: 'begin', disc }, { phase: 'end', outcome: 'success', sent_bytes: 1_000, disc }])
  })

  t.test('a client that leaves; one that asks for what is not there', async t => {
    const leaving = new AbortController()
    const answer = await fetch(`${mkiso.url}/api/iso/download?accession_number=CT.2024.200`, { headers: { 'x-api-key': 'secret' }, signal: leaving.signal })
    await answer.body?.getReader().read()
    leaving.abort()
    const [begin, end] = await next(2)
    t.match([begin, end], [{ phase: 'begin', studies: [{ instances: 200 }] }, { phase: 'end', outcome: 'aborted', patients: [{ name: /./ }] }])
    t.ok(Number(end?.['sent_bytes']) < Number((begin?.['disc'] as { size_bytes: number }).size_bytes))
    await ask('download?accession_number=NONE')
    t.match(await next(1), [{ phase: 'end', outcome: 'failed', code: 'NO_DICOM_DATA', accession_numbers: ['NONE'], studies: [], patients: [] }])
  })

  t.test('a disc that a page has had made, and that another takes', async t => {
    const answer = await request(`${mkiso.url}/api/iso/progress?accession_number=MR.2024.001`, { headers: { 'x-api-key': 'secret', 'x-forwarded-for': '10.1.2.3' } })
    let link: string | undefined
    let text = ''
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      text += chunk.toString()
      link = /"link":"([^"]+)"/.exec(text)?.[1]
      if (link !== undefined) break
    }
    t.match(link, /preparation=/)
    await ask((link ?? '').replace('/api/iso/', ''), { 'x-forwarded-for': '10.9.9.9' })
    t.match(await next(2), [{ phase: 'begin', address: '10.9.9.9' }, { phase: 'end', outcome: 'success', address: '10.9.9.9' }])
  })

  t.test('a print, and one that joins it', async t => {
    await Promise.all([ask('print?accession_number=MR.2024.001', { 'x-remote-user': 'one' }), ask('print?accession_number=MR.2024.001', { 'x-remote-user': 'two' })])
    const records = await next(4)
    t.match(records.map(({ event, phase }) => `${String(event)} ${String(phase)}`), ['transfer begin', 'transfer begin', 'transfer end', 'transfer end'])
    t.strictSame(records.map(({ user }) => user).sort(), ['one', 'one', 'two', 'two'])
    t.match(records[3], { outcome: 'success', destination: `CDPUBLISHER 127.0.0.1:${publisher.port}`, sent_instances: 24, studies: [{ instances: 24 }] })
    t.equal(publisher.associations(), 1)
  })

  t.test('a look', async t => {
    t.equal((await ask('../../look?accession_number=MR.2024.001', { 'x-remote-user': 'siti@ward' })).status, 303)
    t.match(await next(1), [{ event: 'look', phase: 'begin', user: 'siti@ward', accession_numbers: ['MR.2024.001'], patients: [{ name: 'RAHAYU^SITI' }], studies: [{ instances: 24 }] }])
  })

  t.test('who is told whose studies these are is recorded, though no image leaves', async t => {
    const answer = await ask('studies?accession_number=MR.2024.001', { 'x-remote-user': 'curious' })
    t.match(JSON.parse(answer.body.toString()), { patient_name: /SITI/ })
    const told = { event: 'query', phase: 'end', outcome: 'success', user: 'curious', patients: [{ name: /SITI/ }], studies: [{ uid: /./ }], activity_id: undefined }
    t.match(await next(1), [{ ...told, request_id: answer.headers['x-request-id'], accession_numbers: ['MR.2024.001'], patients: [{ id: /./ }] }])
    const id = mkiso.app.prints.jobs[0]?.id ?? ''
    for (const path of ['print/jobs?accession_number=MR.2024.001', `print/jobs/${id}`, '../../status/state']) {
      t.match((await ask(path, { 'x-remote-user': 'curious' })).body.toString(), /SITI/, path)
      t.match(await next(1), [told], path)
    }
    const own = await ask(`print/jobs/${id}`, { 'x-remote-user': mkiso.app.prints.jobs[0]?.record.caller.user ?? '' })
    t.equal(own.status, 200)
    await ask('download?accession_number=NONE')
    t.match(await next(1), [{ event: 'export' }], 'who has printed is recorded already')
  })

  t.test('a file that cannot be written stops disc, print and look', async t => {
    renameSync(folder, `${folder}.away`)
    for (const path of [MR, '../../look?accession_number=MR.2024.001', 'print?accession_number=MR.2024.001&again=true', 'studies?accession_number=MR.2024.001', '../../status/state']) {
      const answer = await ask(path)
      t.equal(answer.status, 500, path)
      t.match(JSON.parse(answer.body.toString()), { error: 'audit record could not be written', code: 'AUDIT_FAILED', detail: /audit.required/ })
      t.equal(answer.headers['content-disposition'], undefined)
    }
    t.equal(publisher.associations(), 1, 'the robot was not troubled')
    t.ok(mkiso.log.some(({ msg, level }) => msg === 'the audit file cannot be written' && Number(level) >= 50))
    renameSync(`${folder}.away`, folder)
    t.equal((await ask(MR)).status, 200, 'and it goes on')
    await next(2)
  })

  t.test('the same as XML over syslog, valid', async t => {
    const codes = (): string[] => repository.messages.map(message => /<EventID csd-code="(\d+)"/.exec(message)?.[1] ?? '')
    t.ok(await eventually(() => codes().length === 19), `${codes().length} messages`)
    t.equal(await schemaFaults(here.programs, repository.messages.map(xmlOf)), '')
    t.strictSame([...new Set(codes())].sort(), ['110102', '110103', '110104', '110106', '110112'])
    t.ok(repository.messages.every(message => message.includes(` ${hostname()} `)))
    t.notMatch(JSON.stringify(mkiso.log), /RAHAYU|siti@ward/, 'names are in the audit, not in the log')
    t.notMatch(readFileSync(file, 'utf8') + repository.messages.join(), /"secret"/, 'keys are in neither')
    t.strictSame(await nothingLeft(mkiso, /^folder (study|disc)_/), [])
  })
})

t.test('only a trusted proxy names a person', async t => {
  const folder = temporaryFolder(t, 'audit')
  const file = join(folder, 'audit.jsonl')
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort(), { server: { trust_proxy: ['10.0.0.0/8'] }, audit: { file, user_header: 'X-Remote-User' } })
  await (await request(`${mkiso.url}/api/iso/download?accession_number=A`, { headers: { 'x-remote-user': 'EVIL', 'x-forwarded-for': '1.2.3.4' } })).body.dump()
  // it is there before its first line is
  t.ok(await eventually(() => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0 && readFileSync(file, 'utf8').endsWith('\n')), 'a whole line')
  const line = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  t.match(line, { outcome: 'failed', code: 'PACS_UNREACHABLE', address: '127.0.0.1' })
  t.equal(line['user'], undefined)
})
