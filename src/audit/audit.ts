/** The audit trail: who took whose images, when, and how it went. With `audit.required` nothing leaves that could not be recorded. */
import { hostname } from 'node:os'
import type { Activity } from '../work/activity.ts'
import type { Config } from '../config/schema.ts'
import { addressOf } from '../dcmtk/peer.ts'
import type { Manifest } from '../dicom/study.ts'
import type { OpenDisc } from '../disc/discs.ts'
import type { ByteRange } from '../disc/image/image.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { PRODUCT } from '../product.ts'
import { publisherOf } from '../print/relay.ts'
import type { Caller } from '../work/caller.ts'
import { studiesOf, studiesOnDisc, type AuditedDisc, type AuditedStudy, type AuditEvent } from './event.ts'
import { appendAuditLine } from './file.ts'
import { auditMessage, type AuditSource } from './message.ts'
import { parseSyslogTarget, syslogMessage, SyslogSender } from './syslog.ts'

type Given = Pick<AuditEvent, 'studies' | 'disc' | 'caller'>
type Asked = Pick<AuditEvent, 'requestId' | 'caller' | 'accessionNumbers'>
type About = Omit<AuditEvent, 'phase' | 'outcome' | 'code' | 'sentBytes' | 'sentInstances'>

export class Audit {
  readonly #config: Config['audit']
  readonly #publisher: { aeTitle: string, address: string }
  readonly #log: Log
  readonly #source: AuditSource
  readonly #syslog: SyslogSender | undefined
  readonly #given = new WeakMap<Activity, () => Given>()

  constructor (config: Config, log: Log) {
    const { audit, our_ae: { ae_title: aeTitle } } = config
    this.#config = audit
    const publisher = publisherOf(config)
    this.#publisher = { aeTitle: publisher.aeTitle, address: addressOf(publisher) }
    this.#log = log
    const target = parseSyslogTarget(audit.syslog)
    const file = (path: string): string | undefined => path === '' ? undefined : path
    this.#syslog = target === undefined ? undefined : new SyslogSender({ ...target, ca: file(audit.syslog_ca), cert: file(audit.syslog_cert), key: file(audit.syslog_key) }, log)
    this.#source = { sourceId: audit.source_id === '' ? hostname() : audit.source_id, hostName: hostname(), processName: PRODUCT.name, aeTitle }
  }

  get #enabled (): boolean { return this.#config.file !== '' || this.#syslog !== undefined }

  /**
   * Before the first byte of a disc goes out.
   * @param caller who takes it, who need not be the one that had it made (a page)
   * @throws MkisoError AUDIT_FAILED
   */
  exporting (activity: Activity, caller: Caller, disc: OpenDisc, range: ByteRange | undefined): void {
    this.#begin(activity, () => ({
      caller, ...auditedDisc(disc, range)
    }))
  }

  /**
   * Before the first image goes to the CD publisher.
   * @throws MkisoError AUDIT_FAILED
   */
  transferring (activity: Activity, manifest: Manifest): void {
    const given: Given = { caller: activity.caller, studies: studiesOf(manifest), disc: undefined }
    this.#begin(activity, () => given)
  }

  /**
   * Before the first image of a disc is shown.
   * @throws MkisoError AUDIT_FAILED
   */
  looking ({ id: requestId, caller }: { id: string, caller: Caller }, accessionNumbers: readonly string[], disc: OpenDisc): void {
    if (!this.#enabled) return
    this.#require(this.#record({
      kind: 'look', phase: 'begin', at: new Date(), requestId, activityId: requestId, caller, accessionNumbers, ...auditedDisc(disc, undefined), destination: undefined,
      outcome: undefined, code: undefined, sentBytes: undefined, sentInstances: undefined
    }))
  }

  /**
   * Before somebody is told whose studies these are, though no image leaves.
   * @throws MkisoError AUDIT_FAILED
   */
  telling ({ requestId, caller, accessionNumbers }: Asked, studies: readonly AuditedStudy[]): void {
    if (!this.#enabled) return
    this.#require(this.#record({
      kind: 'query',
      phase: 'end',
      at: new Date(),
      requestId,
      activityId: undefined,
      caller,
      accessionNumbers,
      studies,
      disc: undefined,
      destination: undefined,
      outcome: 'success',
      code: undefined,
      sentBytes: undefined,
      sentInstances: undefined
    }))
  }

  /** However it ended, and however far it came. */
  ended (activity: Activity): void {
    if (!this.#enabled) return
    const { outcome } = activity
    const about = this.#about(activity)
    const given = this.#given.get(activity)?.()
    // what was given out is done with; a finished activity is remembered
    this.#given.delete(activity)
    this.#record({
      ...about,
      phase: 'end',
      outcome: outcome?.kind === 'cancelled' ? 'aborted' : outcome?.kind ?? 'failed',
      code: outcome?.kind === 'failed' ? outcome.code : undefined,
      sentBytes: activity.kind === 'download' && given !== undefined ? activity.sentBytes - (given.disc?.range?.first ?? 0) : undefined,
      sentInstances: activity.kind === 'print' ? activity.sentImages : undefined
    })
  }

  async close (): Promise<void> { await this.#syslog?.close() }

  #begin (activity: Activity, given: () => Given): void {
    if (!this.#enabled) return
    this.#given.set(activity, given)
    this.#require(this.#record({ ...this.#about(activity), phase: 'begin', outcome: undefined, code: undefined, sentBytes: undefined, sentInstances: undefined }))
  }

  #require (failure: Error | undefined): void {
    if (failure !== undefined && this.#config.required) throw new MkisoError('AUDIT_FAILED', 'nothing leaves that cannot be recorded (audit.required)', { cause: failure })
  }

  #about (activity: Activity): About {
    const { kind, requestId, id, accessionNumbers, manifest } = activity
    const { caller, studies, disc } = this.#given.get(activity)?.() ?? { caller: activity.caller, studies: studiesOf(manifest), disc: undefined }
    return { kind, at: new Date(), requestId, activityId: id, caller, accessionNumbers, studies, disc, destination: kind === 'print' ? this.#publisher : undefined }
  }

  /** @returns why the file could not be written */
  #record (event: AuditEvent): Error | undefined {
    const failure = this.#write(event)
    // what will be stopped does not begin
    if (failure !== undefined && this.#config.required && (event.phase === 'begin' || event.kind === 'query')) return failure
    const xml = this.#syslog === undefined ? undefined : auditMessage(event, this.#source)
    if (xml !== undefined) this.#syslog?.send(syslogMessage(xml, { hostName: this.#source.hostName, appName: PRODUCT.name, at: event.at }))
    return failure
  }

  #write (event: AuditEvent): Error | undefined {
    const { file } = this.#config
    if (file === '') return undefined
    try {
      appendAuditLine(file, event)
      return undefined
    } catch (error) {
      this.#log.error({ err: error, file, request_id: event.requestId }, 'the audit file cannot be written')
      return error instanceof Error ? error : new Error(String(error))
    }
  }
}

/** Of one that grows nobody knows yet what it will hold: the archive's word for it, and at the end what it held. */
function auditedDisc (disc: OpenDisc, range: ByteRange | undefined): Pick<AuditEvent, 'studies'> & { disc: AuditedDisc } {
  return {
    studies: disc.contents === undefined ? studiesOf(disc.manifest) : studiesOnDisc(disc.contents),
    disc: { number: disc.disc, of: disc.discs, format: disc.format, encrypted: disc.encrypted, sizeBytes: disc.image.sizeBytes, etag: disc.etag, range }
  }
}
