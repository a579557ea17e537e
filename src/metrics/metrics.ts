/**
 * What monitoring sees, in Prometheus' conventions: base units, `_total` for counters, labels with few values. No label ever holds a
 * patient's name, an accession number or a UID: metrics leave the machine.
 */
import type { EventEmitter } from 'node:events'
import { diskOf } from '../disk.ts'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Activities } from '../work/activities.ts'
import type { Activity } from '../work/activity.ts'
import type { Config } from '../config/schema.ts'
import type { Operation } from '../dcmtk/peer.ts'
import { ERRORS, MkisoError, type ErrorCode } from '../errors.ts'
import { CHECKS, type Health } from '../health/health.ts'
import type { PatientClient } from '../patient/patient-client.ts'
import type { PrintRecord } from '../print/print-job.ts'
import { PRODUCT } from '../product.ts'
import type { PortPool } from '../archive/dimse/port-pool.ts'
import type { StudyStore } from '../studies/study-store.ts'
import type { ConfiguredArchive } from '../archive/create-archive.ts'

export interface MetricsSources {
  config: Config
  activities: Activities
  studies: StudyStore
  archives: readonly ConfiguredArchive[]
  portPool: Pick<PortPool, 'inUse' | 'size'>
  operations: EventEmitter<{ ended: [Operation] }>
  patientClient: Pick<PatientClient, 'answers'>
  health: { check (): Promise<Health> }
  receiverFault: () => string | undefined
  sharedReceiver: { readonly restarts: number, readonly dropped: number } | undefined
  workDir: string
  prints: { jobs: ReadonlyArray<{ record: PrintRecord }>, unresolved: readonly unknown[] }
}

/** From a second to the default of pacs.move_timeout. */
const LONG_SECONDS = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800]
const SHORT_SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800]
/** A scrape does not wait for a PACS that is down; it gets what was seen last. */
const HEALTH_EVERY_MS = 10_000
const KINDS = ['download', 'print'] as const
const CODES = Object.keys(ERRORS) as ErrorCode[]

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics (sources: MetricsSources) {
  const register = new Registry()
  collectDefaultMetrics({ register })
  const registers = [register]
  watchRequests(registers, sources)
  watchRetrievals(registers, sources)
  watchOperations(registers, sources)
  watchPatientApi(registers, sources)
  watchPrints(registers, sources)
  watchState(registers, sources)
  watchHealth(registers, sources)
  const responses = new Counter({ name: 'mkiso_http_responses_total', help: 'HTTP answers by route and status; status 499: the client left before it.', labelNames: ['route', 'status'], registers })
  return {
    contentType: register.contentType,
    async text (): Promise<string> { return await register.metrics() },
    onResponse (route: string, status: number): void { responses.inc({ route, status: String(status) }) }
  }
}

/** Downloads and prints, as their clients see them. */
function watchRequests (registers: Registry[], { activities }: MetricsSources): void {
  const requests = new Counter({ name: 'mkiso_requests_total', help: 'Downloads and prints that have ended.', labelNames: ['kind', 'outcome'], registers })
  const failures = new Counter({ name: 'mkiso_request_failures_total', help: 'Downloads and prints that failed, by the code of the error.', labelNames: ['kind', 'code'], registers })
  const seconds = new Histogram({ name: 'mkiso_request_seconds', help: 'From the request to the last byte, of downloads and prints that succeeded.', labelNames: ['kind'], buckets: LONG_SECONDS, registers })
  // a counter that appears with its first failure hides that failure from increase()
  for (const kind of KINDS) {
    for (const outcome of ['success', 'failed', 'cancelled', 'set']) requests.inc({ kind, outcome }, 0)
    for (const code of CODES) failures.inc({ kind, code }, 0)
    seconds.zero({ kind })
  }
  activities.on('ended', ({ kind, outcome, durationMs }: Activity) => {
    if (outcome === undefined) return
    requests.inc({ kind, outcome: outcome.kind })
    if (outcome.kind === 'failed') failures.inc({ kind, code: outcome.code })
    if (outcome.kind === 'success') seconds.observe({ kind }, durationMs / 1_000)
  })
  const active = new Gauge({
    name: 'mkiso_requests_active',
    help: 'Downloads and prints under way.',
    labelNames: ['kind'],
    registers,
    collect () {
      for (const kind of KINDS) active.set({ kind }, activities.running.filter(activity => activity.kind === kind).length)
    }
  })
}

/** Studies from the PACS; several requests can wait for one. */
function watchRetrievals (registers: Registry[], { studies }: MetricsSources): void {
  const seconds = new Histogram({ name: 'mkiso_retrieval_seconds', help: 'From the wish for a study to its last image.', buckets: LONG_SECONDS, registers })
  const instances = new Counter({ name: 'mkiso_retrieval_instances_total', help: 'Images that were retrieved from the PACS.', registers })
  const bytes = new Counter({ name: 'mkiso_retrieval_bytes_total', help: 'Bytes of the images that were retrieved from the PACS.', registers })
  const failures = new Counter({ name: 'mkiso_retrieval_failures_total', help: 'Studies that did not come, by the code of the error.', labelNames: ['code'], registers })
  for (const code of CODES) failures.inc({ code }, 0)
  studies.on('fetched', fetched => {
    seconds.observe(fetched.durationMs / 1_000)
    instances.inc(fetched.instances)
    bytes.inc(fetched.bytes)
  })
  studies.on('failed', error => { failures.inc({ code: error instanceof MkisoError ? error.code : 'INTERNAL' }) })
  gauge(registers, 'mkiso_retrievals_active', 'Studies that are being retrieved.', () => studies.running)
  gauge(registers, 'mkiso_retrievals_kept', 'Studies that are kept for another request (iso.keep_for).', () => studies.kept)
  gauge(registers, 'mkiso_retrievals_kept_bytes', 'Bytes of the studies that are kept (iso.keep_max_bytes).', () => studies.keptBytes)
}

function watchOperations (registers: Registry[], { operations, config }: MetricsSources): void {
  const labelNames = ['operation', 'peer']
  const seconds = new Histogram({ name: 'mkiso_dicom_operation_seconds', help: 'DICOM operations, from the start of the program to its end.', labelNames, buckets: SHORT_SECONDS, registers })
  const failures = new Counter({ name: 'mkiso_dicom_operation_failures_total', help: 'DICOM operations that did not do all that they were asked.', labelNames, registers })
  for (const { retrieve, ae_title: aeTitle, name } of config.archives) {
    const isWeb = retrieve === 'wado'
    const operations = isWeb ? ['QIDO-RS', 'WADO-RS'] : ['C-ECHO', 'C-FIND', retrieve === 'get' ? 'C-GET' : 'C-MOVE']
    for (const operation of operations) failures.inc({ operation, peer: isWeb ? name : aeTitle }, 0)
  }
  for (const operation of ['C-ECHO', 'C-STORE']) failures.inc({ operation, peer: config.cd_publisher.ae_title }, 0)
  operations.on('ended', ({ name: operation, peer, durationMs, ok }) => {
    seconds.observe({ operation, peer }, durationMs / 1_000)
    if (!ok) failures.inc({ operation, peer })
  })
}

function watchPatientApi (registers: Registry[], { patientClient }: MetricsSources): void {
  const seconds = new Histogram({ name: 'mkiso_patient_api_seconds', help: 'Questions to the HIS, with further tries.', buckets: SHORT_SECONDS, registers })
  const failures = new Counter({ name: 'mkiso_patient_api_failures_total', help: 'Questions to the HIS without an answer that is of use.', registers })
  patientClient.answers.on('ended', ({ durationMs, ok }) => {
    seconds.observe(durationMs / 1_000)
    if (!ok) failures.inc()
  })
}

function watchPrints (registers: Registry[], { prints }: MetricsSources): void {
  gauge(registers, 'mkiso_prints_waiting', 'Prints that have been asked for and are not being sent yet.', () => prints.jobs.filter(({ record: { state } }) => ['queued', 'fetching'].includes(state)).length)
  gauge(registers, 'mkiso_prints_sending', 'Prints whose images are on their way to the CD publisher.', () => prints.jobs.filter(({ record: { state } }) => state === 'sending').length)
  gauge(registers, 'mkiso_prints_unknown', 'Prints of which nobody knows what the CD publisher has, and nobody has looked yet.', () => prints.unresolved.length)
}

function watchState (registers: Registry[], { archives, portPool, receiverFault, sharedReceiver, workDir }: MetricsSources): void {
  new Gauge({ name: 'mkiso_build_info', help: 'Always 1; the version is the label.', labelNames: ['version'], registers }).set({ version: PRODUCT.version }, 1)
  gauge(registers, 'mkiso_receive_slots', 'Receive slots (our_ae.port_range).', () => portPool.size)
  gauge(registers, 'mkiso_receive_slots_used', 'Receive slots in use.', () => portPool.inUse)
  const byArchive = (name: string, help: string, read: (archive: ConfiguredArchive) => number): void => {
    const one = new Gauge({
      name,
      help,
      labelNames: ['archive'],
      registers,
      collect () { for (const archive of archives) one.set({ archive: archive.settings.name }, read(archive)) }
    })
  }
  byArchive('mkiso_pacs_turns', 'Moves that may run at an archive at the same time (max_moves).', ({ settings }) => Math.min(settings.max_moves, settings.maxAssociations))
  byArchive('mkiso_pacs_turns_used', 'Moves that run at an archive.', ({ limit }) => limit.moves.active)
  byArchive('mkiso_pacs_turns_waiting', 'Moves that wait for a turn at an archive.', ({ limit }) => limit.moves.waiting)
  gauge(registers, 'mkiso_receiver_up', '1 while images can be received.', () => receiverFault() === undefined ? 1 : 0)
  counted(registers, 'mkiso_receiver_restarts_total', 'How often the shared receiver had to be started again.', () => sharedReceiver?.restarts ?? 0)
  counted(registers, 'mkiso_receiver_dropped_instances_total', 'Images that the shared receiver got and nobody had asked for.', () => sharedReceiver?.dropped ?? 0)
  gauge(registers, 'mkiso_disk_free_bytes', 'Free space in iso.temp_dir.', async () => (await diskOf(workDir)).freeBytes)
  gauge(registers, 'mkiso_disk_size_bytes', 'Size of the disk that iso.temp_dir is on.', async () => (await diskOf(workDir)).sizeBytes)
}

function watchHealth (registers: Registry[], { health }: MetricsSources): void {
  let asked = 0
  const archiveUp = new Gauge({ name: 'mkiso_archive_up', help: 'Each archive as /api/health sees it: 1 ok, 0.5 warning, 0 down; as seen at the scrape before.', labelNames: ['archive'], registers })
  const up = new Gauge({
    name: 'mkiso_check_up',
    help: 'The checks of /api/health: 1 ok, 0.5 warning, 0 down; as seen at the scrape before.',
    labelNames: ['check'],
    registers,
    collect () {
      if (performance.now() - asked < HEALTH_EVERY_MS && asked > 0) return
      asked = performance.now()
      void health.check().then(({ checks, archives }) => {
        for (const [archive, { status }] of Object.entries(archives)) archiveUp.set({ archive }, { ok: 1, warning: 0.5, down: 0 }[status])
        for (const check of CHECKS) up.set({ check }, { ok: 1, warning: 0.5, down: 0 }[checks[check].status])
      }, () => { /* every check tells its own fault */ })
    }
  })
}

function gauge (registers: Registry[], name: string, help: string, read: () => number | Promise<number>): void {
  const one = new Gauge({ name, help, registers, async collect () { one.set(await read()) } })
}

/** A counter whose count is kept elsewhere. */
function counted (registers: Registry[], name: string, help: string, read: () => number): void {
  const one = new Counter({
    name,
    help,
    registers,
    collect () {
      one.reset()
      one.inc(read())
    }
  })
}
