/** HTTPS, Basic, a bearer token that is renewed, a client certificate: nginx in front of a real Orthanc; and the same way for health and doctor. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { dicomWebPlugin } from '../../../demo/orthanc.ts'
import { listening } from '../../../demo/pacs.ts'
import { freePort } from '../../../demo/ports.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { examine } from '../../../src/doctor/doctor.ts'
import { authority } from '../../certificates.ts'
import { faultStudy, linkTo } from '../../faults/harness.ts'
import { readDisc, service, world, type Service } from '../../world.ts'

t.test('HTTPS and who we are', { timeout: 240_000 }, async t => {
  const here = await world(t, 'orthanc', { studies: [faultStudy('HTTPS', { images: 5 })], orthanc: { Plugins: [dicomWebPlugin()] } })
  if (!('httpPort' in here.pacs)) throw new Error('no Orthanc')
  const orthanc = `http://127.0.0.1:${String(here.pacs.httpPort)}`
  const { programs, folder } = here
  const { server: theirs, us: ours } = await authority(programs, join(folder, 'ca'), ['server', 'us'])
  const { stranger } = await authority(programs, join(folder, 'other'), ['stranger'])
  if (theirs === undefined || ours === undefined || stranger === undefined) throw new Error('no certificates')
  const [basic, mutual] = [await freePort(), await freePort()]
  const nginx = join(folder, 'nginx')
  mkdirSync(join(nginx, 'tmp'), { recursive: true })
  writeFileSync(join(nginx, 'users'), 'mkiso:{PLAIN}s3cret-of-mkiso\n')
  const ssl = `ssl_certificate ${theirs.cert}; ssl_certificate_key ${theirs.key};`
  writeFileSync(join(nginx, 'nginx.conf'), `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; pid ${nginx}/pid; events {}
    http {
      access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${nginx}/tmp;`).join(' ')}
      server { listen 127.0.0.1:${basic} ssl; ${ssl} auth_basic "archive"; auth_basic_user_file ${nginx}/users;
        location / { proxy_pass ${orthanc}; proxy_set_header Authorization ""; } }
      server { listen 127.0.0.1:${mutual} ssl; ${ssl} ssl_client_certificate ${ours.ca}; ssl_verify_client on;
        location / { if ($http_authorization != "Bearer token-of-this-hour") { return 401; } proxy_pass ${orthanc}; proxy_set_header Authorization ""; } }
    }`)
  const child = programs.start('nginx', ['-p', nginx, '-c', join(nginx, 'nginx.conf'), '-e', join(nginx, 'error.log')], { cwd: nginx })
  await listening(child, mutual, 'nginx')
  const password = join(folder, 'password')
  const token = join(folder, 'token')
  writeFileSync(password, 's3cret-of-mkiso\n')
  writeFileSync(token, 'token-of-this-hour\n')
  const uids = here.of('HTTPS').map(({ sopInstanceUid }) => sopInstanceUid).sort()
  const withBasic = { url: `https://127.0.0.1:${basic}/dicom-web`, ca: theirs.ca, username: 'mkiso', password_file: password }
  const withToken = { url: `https://localhost:${mutual}/dicom-web/`, ca: theirs.ca, cert: ours.cert, key: ours.key, token_file: token }
  const start = async (dicomweb: Record<string, unknown>): Promise<Service> => await service(t, here.pacs, here.receiverPort, {
    pacs: { retrieve: 'wado', dicomweb, connect_timeout: '5s' }, iso: { keep_for: '0' }, disc: { web_content: 'none' }
  })

  for (const [what, dicomweb] of Object.entries({ Basic: withBasic, 'a token and a client certificate': withToken, 'a certificate nobody vouches for, taken all the same': { ...withBasic, ca: '', verify: false } })) {
    await t.test(what, async t => {
      const mkiso = await start(dicomweb)
      const answer = await mkiso.get(linkTo('HTTPS'))
      t.equal(answer.status, 200, answer.status === 200 ? what : answer.body.toString())
      if (answer.status === 200) t.strictSame([...(await readDisc(t, answer.body, programs)).instances.keys()].sort(), uids)
      t.match((await mkiso.get('/api/health')).json(), { checks: { pacs: { status: 'ok' } } })
      t.match((await mkiso.get('/metrics')).body.toString(), /mkiso_dicom_operation_seconds_count\{operation="WADO-RS",peer="(?:127\.0\.0\.1|localhost):\d+"\} 1/)
    })
  }

  await t.test('a token that is renewed in its file is taken at once', async t => {
    writeFileSync(token, 'token-of-the-last-hour')
    const mkiso = await start(withToken)
    t.match((await mkiso.get(linkTo('HTTPS'))).json(), { code: 'PACS_REFUSED', detail: /HTTP 401.*pacs\.dicomweb\.token/ })
    writeFileSync(token, 'token-of-this-hour')
    t.equal((await mkiso.get(linkTo('HTTPS'))).status, 200)
  })

  await t.test('what does not fit fails, and says what to change', async t => {
    const cases: Array<[string, Record<string, unknown>, RegExp, string]> = [
      ['a certificate that nobody vouches for', { ...withBasic, ca: stranger.ca }, /TLS: .*check ca/, 'PACS_UNREACHABLE'],
      ['a certificate for another name', { ...withBasic, server_name: 'pacs.example' }, /TLS: .*server_name/, 'PACS_UNREACHABLE'],
      ['a wrong password', { ...withBasic, password_file: '', password: 'wrong' }, /HTTP 401.*it asks for Basic/, 'PACS_REFUSED'],
      ['plain HTTP to an HTTPS port', { url: `http://127.0.0.1:${basic}/dicom-web` }, /HTTP 400/, 'PACS_REFUSED'],
      ['a path that is none', { ...withBasic, url: `https://127.0.0.1:${basic}/nowhere` }, /HTTP 404.*check pacs\.dicomweb\.url/, 'PACS_REFUSED'],
      ['a server that is not there', { url: `http://127.0.0.1:${await freePort()}/dicom-web` }, /connection refused/, 'PACS_UNREACHABLE']
    ]
    for (const [what, dicomweb, detail, code] of cases) {
      const mkiso = await start(dicomweb)
      const answer = await mkiso.get(linkTo('HTTPS'))
      t.match(answer.json(), { code, detail }, what)
      t.match((await mkiso.get('/api/health')).json(), { checks: { pacs: { status: 'down', detail } } }, what)
      await mkiso.app.close()
    }
  })

  await t.test('mkiso doctor', async t => {
    const ask = async (dicomweb: Record<string, unknown>): Promise<Record<string, [string, string]>> => {
      const settings = {
        server: { port: await freePort() }, pacs: { retrieve: 'wado', dicomweb }, patient_api: { base_url: 'http://127.0.0.1:9/api', retries: 0 },
        cd_publisher: { host: '127.0.0.1', port: 9 }, iso: { temp_dir: folder, microdicom_path: '' }
      }
      const findings = await examine(parseConfig(JSON.stringify(settings), 'doctor.yaml', { env: {} }), {
        file: 'doctor.yaml', accessionNumber: 'HTTPS', serviceUrl: undefined, signal: new AbortController().signal, onFinding: () => {}
      })
      return Object.fromEntries(findings.map(({ name, status, detail }) => [name, [status, detail]]))
    }
    t.match(await ask(withBasic), {
      'PACS DICOMweb': ['ok', /answers in/], 'PACS QIDO-RS': ['ok', /has no study/], 'PACS WADO-RS': ['ok', /as it is stored/], 'receiver port': ['ok', 'none is needed for DICOMweb']
    })
    t.match(await ask({ ...withBasic, password_file: '', password: 'wrong' }), { 'PACS DICOMweb': ['down', /HTTP 401/] })
  })
})
