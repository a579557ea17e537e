/** /metrics after real downloads, prints and failures; and that rules and dashboard read what it exposes. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { load } from 'js-yaml'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { service, world, type Service } from '../world.ts'

const CR = 'CR.2024.010'
const CT = 'CT.2024.200'
const MONITORING = join(import.meta.dirname, '../../docs/monitoring')

async function metricsOf (mkiso: Service): Promise<{ text: string, value: (series: string) => number | undefined }> {
  const text = (await mkiso.get('/metrics')).body.toString()
  return {
    text,
    value: series => {
      const line = text.split('\n').find(one => one.startsWith(`${series} `))
      return line === undefined ? undefined : Number(line.slice(series.length))
    }
  }
}

t.test('metrics', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => [CR, CT].includes(accessionNumber)) })
  const { pacs, receiverPort, programs, folder } = here
  const dir = join(folder, 'publisher')
  mkdirSync(dir)
  const publisher = await startPublisher({ programs, dir })
  const mkiso = await service(t, pacs, receiverPort, { cd_publisher: { port: publisher.port, ae_title: publisher.aeTitle }, iso: { keep_for: '10m' } })
  const sizes = here.of(CR).map(({ path }) => readFileSync(path).length)

  t.test('at the start every counter is there, and 0', async t => {
    const { value } = await metricsOf(mkiso)
    t.equal(value('mkiso_requests_total{kind="download",outcome="success"}'), 0)
    t.equal(value('mkiso_request_failures_total{kind="print",code="CD_PUBLISHER_REFUSED"}'), 0)
    t.equal(value('mkiso_retrieval_failures_total{code="INCOMPLETE_RETRIEVAL"}'), 0)
    t.equal(value('mkiso_dicom_operation_failures_total{operation="C-MOVE",peer="ABPACS"}'), 0)
    t.equal(value('mkiso_receiver_up'), 1)
    t.equal(value('mkiso_receive_slots'), 20)
    t.equal(value('mkiso_pacs_turns{archive="ABPACS"}'), 4)
  })

  t.test('what has happened is counted', async t => {
    t.equal((await mkiso.get(`/api/iso/download?accession_number=${CR}`)).status, 200)
    t.equal((await mkiso.get(`/api/iso/print?accession_number=${CR}`)).status, 200)
    t.equal((await mkiso.get('/api/iso/download?accession_number=NONE')).status, 404)
    t.equal((await mkiso.get('/nowhere')).status, 404)
    // taken away behind the back of the PACS
    const [lost] = here.of(CT)
    rmSync(await pacs.pathOf(lost?.sopInstanceUid ?? '') ?? '')
    t.equal((await mkiso.get(`/api/iso/download?accession_number=${CT}`)).status, 502)
    const { value } = await metricsOf(mkiso)
    const expected: Record<string, number> = {
      'mkiso_requests_total{kind="download",outcome="success"}': 1,
      'mkiso_requests_total{kind="download",outcome="failed"}': 2,
      'mkiso_requests_total{kind="print",outcome="success"}': 1,
      'mkiso_request_failures_total{kind="download",code="NO_DICOM_DATA"}': 1,
      'mkiso_request_failures_total{kind="download",code="INCOMPLETE_RETRIEVAL"}': 1,
      'mkiso_request_seconds_count{kind="download"}': 1,
      // the print took what was kept
      mkiso_retrieval_seconds_count: 1,
      mkiso_retrieval_instances_total: sizes.length,
      mkiso_retrievals_kept: 1,
      mkiso_requests_active: NaN,
      // the print's, which does without (patient_api.required), and the first download's; then a HIS that is down is left alone
      mkiso_patient_api_seconds_count: 2,
      mkiso_patient_api_failures_total: 2,
      'mkiso_requests_active{kind="download"}': 0,
      mkiso_retrievals_active: 0,
      mkiso_receive_slots_used: 0,
      'mkiso_pacs_turns_used{archive="ABPACS"}': 0,
      'mkiso_retrieval_failures_total{code="INCOMPLETE_RETRIEVAL"}': 1,
      'mkiso_dicom_operation_seconds_count{operation="C-STORE",peer="CDPUBLISHER"}': 1,
      'mkiso_http_responses_total{route="/api/iso/download",status="200"}': 1,
      'mkiso_http_responses_total{route="/api/iso/download",status="404"}': 1,
      'mkiso_http_responses_total{route="none",status="404"}': 1
    }
    for (const [series, wanted] of Object.entries(expected)) t.equal(value(series), Number.isNaN(wanted) ? undefined : wanted, series)
    const bytes = value('mkiso_retrieval_bytes_total') ?? 0
    // the PACS may write another file meta information
    t.ok(Math.abs(bytes - sizes.reduce((sum, size) => sum + size, 0)) < 1_000 * sizes.length, `${bytes} bytes`)
    t.equal(value('mkiso_retrievals_kept_bytes'), bytes)
    t.ok((value('mkiso_dicom_operation_seconds_count{operation="C-FIND",peer="ABPACS"}') ?? 0) >= 4)
    t.ok((value('mkiso_dicom_operation_failures_total{operation="C-MOVE",peer="ABPACS"}') ?? 0) >= 1)
    t.ok((value('mkiso_disk_free_bytes') ?? 0) > 0)
  })

  t.test('the receiver stands, and the checks are looked at', async t => {
    t.equal((await metricsOf(mkiso)).value('mkiso_receiver_restarts_total'), 0)
    t.ok(await eventually(async () => (await metricsOf(mkiso)).value('mkiso_check_up{check="pacs"}') === 1, 100))
    t.ok(await eventually(async () => ((await metricsOf(mkiso)).value('mkiso_dicom_operation_seconds_count{operation="C-ECHO",peer="ABPACS"}') ?? 0) > 0, 100))
  })

  t.test('nothing about a patient', async t => {
    const { text } = await metricsOf(mkiso)
    const secrets = [CR, CT, 'NONE', ...here.instances.flatMap(({ sopInstanceUid }) => [sopInstanceUid]), ...demoStudies().flatMap(({ patient }) => [patient.patientId, ...patient.patientName.split(/[\^= ]/)])]
    t.strictSame(secrets.filter(secret => secret.length > 2 && text.includes(secret)), [])
  })

  t.test('promtool, and the names in rules and dashboard', async t => {
    const { text } = await metricsOf(mkiso)
    const lint = await programs.run('promtool', ['check', 'metrics'], { input: text, timeoutMs: 20_000 })
    // what prom-client itself exposes under the names that everybody knows
    t.strictSame(`${lint.stdout}${lint.stderr}`.split('\n').filter(line => line !== '' && !/^nodejs_|^process_/.test(line)), [], 'promtool finds no fault')
    const rules = await programs.run('promtool', ['check', 'rules', join(MONITORING, 'alerts.yml')], { timeoutMs: 20_000 })
    t.equal(rules.exitCode, 0, rules.stderr)
    const tests = await programs.run('promtool', ['test', 'rules', join(MONITORING, 'alerts.test.yml')], { timeoutMs: 20_000 })
    t.equal(tests.exitCode, 0, tests.stdout + tests.stderr)
    const config = await programs.run('promtool', ['check', 'config', join(MONITORING, 'prometheus.yml')], { timeoutMs: 20_000 })
    t.equal(config.exitCode, 0, config.stderr)

    const { panels } = JSON.parse(readFileSync(join(MONITORING, 'grafana-dashboard.json'), 'utf8')) as { panels: Array<{ targets?: Array<{ expr: string }> }> }
    const { groups } = load(readFileSync(join(MONITORING, 'alerts.yml'), 'utf8')) as { groups: Array<{ rules: Array<{ expr: string }> }> }
    const shown = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    // Grafana fills in its variables
    const asRules = { groups: [{ name: 'dashboard', rules: shown.map((expr, n) => ({ record: `panel:${n}`, expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*') })) }] }
    const file = join(folder, 'dashboard.yml')
    writeFileSync(file, JSON.stringify(asRules))
    const dashboard = await programs.run('promtool', ['check', 'rules', file], { timeoutMs: 20_000 })
    t.equal(dashboard.exitCode, 0, dashboard.stderr)
    t.ok(shown.length > 20)

    const exposed = new Set(text.split('\n').filter(line => !line.startsWith('#')).map(line => /^[a-z0-9_]+/.exec(line)?.[0]))
    const named = [...shown, ...groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))].flatMap(expr => expr.match(/\b(?:mkiso|process|nodejs)_[a-z0-9_]+/g) ?? [])
    t.strictSame([...new Set(named)].filter(name => !exposed.has(name)), [], 'each is exposed')
    const ours = [...exposed].filter(name => name?.startsWith('mkiso_') === true && !/_(bucket|sum|count)$/.test(name))
    t.ok(ours.length > 20)
  })

  t.test('a token, or none at all', async t => {
    const kept = await service(t, pacs, await freePort(), { pacs: { retrieve: 'get' }, metrics: { token: 'right' }, auth: { enabled: true, api_key: 'k'.repeat(32) } })
    const get = async (authorization?: string): Promise<number> => {
      const answer = await fetch(`${kept.url}/metrics`, { headers: authorization === undefined ? {} : { authorization } })
      await answer.text()
      return answer.status
    }
    t.equal(await get('Bearer right'), 200)
    for (const wrong of [undefined, 'Bearer wrong', 'right', 'Basic right', 'Bearer right right']) t.equal(await get(wrong), 401, String(wrong))
    const none = await service(t, pacs, await freePort(), { pacs: { retrieve: 'get' }, metrics: { enabled: false } })
    t.equal((await none.get('/metrics')).status, 404)
  })
})
