/** DICOM over TLS, both ways, with Orthanc; and nothing goes the plain way where TLS is asked for. */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startOrthanc } from '../../demo/orthanc.ts'
import { freePort } from '../../demo/ports.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { ConfigError, parseConfig } from '../../src/config/load.ts'
import { examine } from '../../src/doctor/doctor.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { eventually } from '../eventually.ts'
import { authority, type Certificates } from '../certificates.ts'
import { nothingLeft, programsOf, readDisc, service, temporaryFolder, type Overrides, type Service } from '../world.ts'

t.test('TLS', async t => {
  const folder = temporaryFolder(t, 'tls')
  const programs = programsOf(t)
  const { pacs: theirs, us: ours, robot } = await authority(programs, join(folder, 'ca'), ['pacs', 'us', 'robot'])
  const { stranger } = await authority(programs, join(folder, 'other'), ['stranger'])
  if (theirs === undefined || ours === undefined || robot === undefined || stranger === undefined) throw new Error('no certificates')
  const [study] = demoStudies().filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001')
  if (study === undefined) throw new Error('no study')
  for (const name of ['phantoms', 'pacs', 'publisher']) mkdirSync(join(folder, name))
  const instances = await writeStudy(study, join(folder, 'phantoms'), programs)
  const uids = instances.map(({ sopInstanceUid }) => sopInstanceUid).sort()
  const port = await freePort()
  const pacs = await startOrthanc({ programs, dir: join(folder, 'pacs'), destinations: [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port, tls: true }] }, {
    DicomTlsEnabled: true, DicomTlsCertificate: theirs.cert, DicomTlsPrivateKey: theirs.key, DicomTlsTrustedCertificates: theirs.ca, DicomTlsRemoteCertificateRequired: true
  })
  await pacs.store(instances.map(({ path }) => path))
  const publisher = await startPublisher({ programs, dir: join(folder, 'publisher'), args: ['+xa', '+tls', robot.key, robot.cert, '+cf', robot.ca] })
  const DOWNLOAD = '/api/iso/download?accession_number=MR.2024.001'
  const PRINT = '/api/iso/print?accession_number=MR.2024.001'
  const start = async (t: Test, overrides: Overrides = {}): Promise<Service> => await service(t, pacs, port, { cd_publisher: { host: '127.0.0.1', port: publisher.port }, ...overrides })

  t.test('mkiso doctor goes the same way', async t => {
    const ask = async (tls: Certificates): Promise<Map<string, Finding>> => {
      const settings = {
        server: { port: await freePort() }, pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, tls }, our_ae: { base_port: port },
        patient_api: { base_url: 'http://127.0.0.1:9/api', retries: 0 }, cd_publisher: { host: '127.0.0.1', port: publisher.port, tls }, iso: { temp_dir: folder, microdicom_path: '' }
      }
      const findings = await examine(parseConfig(JSON.stringify(settings), 'doctor.yaml', { env: {} }), {
        file: 'doctor.yaml', accessionNumber: 'MR.2024.001', serviceUrl: undefined, signal: new AbortController().signal, onFinding: () => {}
      })
      return new Map(findings.map(finding => [finding.name, finding]))
    }
    const right = await ask(ours)
    for (const name of ['stunnel', 'CD publisher', 'PACS C-ECHO', 'PACS C-FIND', 'PACS C-MOVE']) t.equal(right.get(name)?.status, 'ok', `${name}: ${right.get(name)?.detail ?? ''}`)
    const wrong = await ask(stranger)
    t.match(wrong.get('PACS C-ECHO'), { status: 'down', detail: /TLS/ })
  })

  t.test('a whole study, C-MOVE and back; then the tunnel is killed', async t => {
    const mkiso = await start(t, { pacs: { tls: ours }, cd_publisher: { host: '127.0.0.1', port: publisher.port, tls: ours } })
    const answer = await mkiso.get(DOWNLOAD)
    t.equal(answer.status, 200)
    t.strictSame([...(await readDisc(t, answer.body, programs)).instances.keys()].sort(), uids)
    t.match((await mkiso.get('/api/health')).json(), { checks: { pacs: { status: 'ok' }, receiver: { status: 'ok' }, cd_publisher: { status: 'ok' } } })
    t.match((await mkiso.get(PRINT)).json(), { status: 'success', files_sent: uids.length, destination: `127.0.0.1:${publisher.port}` })
    t.strictSame((await publisher.received()).sort(), uids)
    t.strictSame(await nothingLeft(mkiso), [])

    for (const args of [['-to', '3', '-ta', '3'], ['-to', '3', '-ta', '3', '+tla', '-ic']]) {
      const plain = await programs.run('echoscu', [...args, '-aec', 'CDRECORD', '127.0.0.1', String(port)])
      t.not(plain.exitCode, 0, `the receiver refuses ${args.includes('+tla') ? 'a client without a certificate' : 'what is plain'}`)
    }
    const trusted = await programs.run('echoscu', ['+tls', theirs.key, theirs.cert, '+cf', theirs.ca, '-aec', 'CDRECORD', '127.0.0.1', String(port)])
    t.equal(trusted.exitCode, 0, 'and takes the PACS')

    const tunnels = mkiso.log.filter(({ msg }) => msg === 'stunnel started')
    t.strictSame(tunnels.map(({ peer }) => peer).sort(), [`127.0.0.1:${pacs.port}`, `127.0.0.1:${publisher.port}`].sort())
    process.kill(Number(tunnels.find(({ peer }) => peer === `127.0.0.1:${pacs.port}`)?.['pid']), 'SIGKILL')
    t.ok(await eventually(() => mkiso.log.some(({ msg }) => msg === 'stunnel ended')))
    t.equal((await mkiso.get(DOWNLOAD)).status, 200, 'the next request has a new one')
    t.equal(readdirSync(mkiso.app.workDir).filter(name => name.startsWith('stunnel_')).length, 3)
    await mkiso.app.close()
    t.strictSame(mkiso.app.dcmtk.programs.pids, [], 'it ends with the service')
  })

  t.test('C-GET', async t => {
    const mkiso = await start(t, { pacs: { retrieve: 'get', tls: { ca: ours.ca, cert: ours.cert, key: ours.key } } })
    const answer = await mkiso.get(DOWNLOAD)
    t.equal(answer.status, 200)
    t.strictSame([...(await readDisc(t, answer.body, programs)).instances.keys()].sort(), uids)
  })

  t.test('what does not fit fails, and says why', async t => {
    const cases: Array<[string, Overrides, RegExp]> = [
      ['no TLS on our side', {}, /ORTHANC at/],
      ['a certificate of theirs that nobody vouches for', { tls: { ...ours, ca: stranger.ca } }, /TLS: .*(verif|certificate)/i],
      ['a certificate of theirs for another name', { tls: { ...ours, server_name: 'pacs.example' } }, /TLS: .*(verif|certificate|match)/i],
      ['a certificate of ours that they do not know', { tls: { ...stranger, ca: ours.ca } }, /TLS: .*(alert|certificate)|ORTHANC at/i]
    ]
    for (const [what, { tls }, detail] of cases) {
      const mkiso = await start(t, { pacs: { retrieve: 'get', find_timeout: '5s', ...(tls === undefined ? {} : { tls }) } })
      const answer = await mkiso.get(DOWNLOAD)
      t.equal(answer.status, 502, what)
      t.match(answer.json(), { code: 'PACS_UNREACHABLE', detail }, what)
      await mkiso.app.close()
    }
    const mkiso = await start(t, { pacs: { tls: ours } })
    t.match((await mkiso.get(PRINT)).json(), { code: 'CD_PUBLISHER_UNREACHABLE' }, 'a robot with TLS, and none here')
  })

  t.test('what the configuration refuses', async t => {
    const cases: Array<[Record<string, unknown>, string | RegExp]> = [
      [{ pacs: { tls: {} } }, 'mkiso.yaml:1: pacs.tls.ca is empty: give the certificates that the peer is checked against, or verify: false'],
      [{ pacs: { tls: { ca: ours.ca } } }, 'mkiso.yaml:1: pacs.tls.cert is empty: the receiver needs a certificate and its key, or pacs.tls.incoming: plain'],
      [{ pacs: { tls: { ...ours, key: '' } } }, /pacs.tls.cert and pacs.tls.key go together/], [{ pacs: { tls: { ...ours, ca: '/nowhere' } } }, 'mkiso.yaml:1: pacs.tls.ca /nowhere cannot be read'],
      [{ pacs: { tls: { ...ours, incoming: 'both' } } }, /pacs.tls.incoming: "both" is not one of tls, plain/], [{ cd_publisher: { tls: { verfy: false } } }, /unknown key cd_publisher.tls.verfy; did you mean verify\?/],
      [{ cd_publisher: { tls: { verify: false } }, tools: { stunnel: '/nowhere/stunnel' } }, /there is no program \/nowhere\/stunnel, which cd_publisher.tls needs/]
    ]
    for (const [settings, fault] of cases) {
      try {
        parseConfig(JSON.stringify({ iso: { temp_dir: '/tmp' }, ...settings }), 'mkiso.yaml', { env: {} })
        t.fail(JSON.stringify(settings))
      } catch (error) { t.match(error instanceof ConfigError && error.faults, [fault], JSON.stringify(settings).slice(0, 60)) }
    }
    for (const settings of [{ tls: { ca: ours.ca, incoming: 'plain' } }, { retrieve: 'get', tls: { verify: false } }]) {
      t.doesNotThrow(() => parseConfig(JSON.stringify({ iso: { temp_dir: '/tmp' }, pacs: settings }), 'mkiso.yaml', { env: { MKISO_PACS__TLS__CA: ours.ca } }))
    }
  })
})
