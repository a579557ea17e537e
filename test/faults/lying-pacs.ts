/**
 * A PACS that lies. It answers as a good one does, except for the studies that it has a lie for: so one of it serves many faults at the
 * same time, each with an accession number of its own.
 */
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import dimse from 'dcmjs-dimse'
import type { association as associations } from 'dcmjs-dimse'
import type { PhantomInstance, PhantomPatient } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'

const { Client, Dataset, Scp, Server, constants, log, requests, responses } = dimse
const { PresentationContextResult, RejectReason, RejectResult, RejectSource, SopClass, TransferSyntax } = constants
const PENDING = 0xFF00

export type Level = 'STUDY' | 'SERIES' | 'IMAGE'
export type Elements = Record<string, unknown>

/** What becomes of a query: answers and the final status, silence, or an association that ends. */
export type FindAnswer = { answers: Elements[], status?: number } | 'silence' | 'abort' | 'cut'

export interface Counts { remaining?: number, completed?: number, failed?: number, warning?: number }

/** A C-MOVE request, and the means to answer it. */
export interface Move {
  /** From 1, for each series. */
  readonly attempt: number
  readonly level: Level
  /** What the request asks for. */
  readonly wanted: readonly PhantomInstance[]
  /** Port of the receiver: for images that no library would send as they are. */
  readonly receiverPort: number
  /** C-STOREs to the receiver; resolves with the number that it took. */
  send (files: readonly PhantomInstance[]): Promise<number>
  pending (counts: Counts): void
  final (status: number, counts?: Counts): void
  abort (): void
  /** The connection just ends. */
  cut (): void
}

export interface Lie {
  find?: (level: Level, answers: Elements[], keys: Record<string, string>) => FindAnswer
  /** A request that it neither answers nor ends is one that waits for ever. */
  move?: (move: Move) => Promise<void> | void
}

export interface LyingPacs {
  readonly aeTitle: string
  readonly host: string
  readonly port: number
  /** Ports of move destinations by AE title, beside CDRECORD's. */
  readonly destinations: Map<string, number>
  /** Puts a study in. */
  add (patient: PhantomPatient, instances: readonly PhantomInstance[], lie?: Lie): void
  /** C-FIND requests so far, with their keys. */
  readonly queries: ReadonlyArray<{ level: Level, keys: Record<string, string> }>
  /** C-MOVE requests for an accession number. */
  moves (accessionNumber: string): number
  /** C-STOREs to the receiver, with lies; resolves with the number that it took. */
  send (files: readonly PhantomInstance[], lie?: StoreLie): Promise<number>
  close (): Promise<void>
}

export interface StoreLie {
  /** Sends it under the SOP Instance UID of another; in the data set stays its own Study Instance UID. */
  as?: PhantomInstance | undefined
  /** Sends so many bytes of the data set only; so many from the end when negative. */
  keepBytes?: number
}

interface Held { patient: PhantomPatient, instances: readonly PhantomInstance[], lie: Lie, moves: Map<string | undefined, number> }

/** Called AE titles with which the association itself goes wrong. */
export const BAD_TITLES = {
  BUSY: (scp: Answering) => { scp.sendAssociationReject(RejectResult.Transient, RejectSource.ServiceProviderPresentation, 2 /* local limit exceeded */) },
  CLOSED: (scp: Answering) => { scp.sendAssociationReject(RejectResult.Permanent, RejectSource.ServiceUser, RejectReason.NoReasonGiven) },
  STRANGERS: (scp: Answering) => { scp.sendAssociationReject(RejectResult.Permanent, RejectSource.ServiceUser, RejectReason.CallingAeNotRecognized) },
  OTHERNAME: (scp: Answering) => { scp.sendAssociationReject(RejectResult.Permanent, RejectSource.ServiceUser, RejectReason.CalledAeNotRecognized) },
  ABORTS: (scp: Answering) => { scp.sendAbort() },
  SILENT: () => {},
  CUTS: (scp: Answering) => { scp.connection.destroy() }
} satisfies Record<string, (scp: Answering) => void>

/** Called AE titles that accept the association and then refuse a service, by SOP class. */
const WITHOUT: Record<string, string> = { NOFIND: SopClass.StudyRootQueryRetrieveInformationModelFind, NOMOVE: SopClass.StudyRootQueryRetrieveInformationModelMove }

/** A called AE title that rejects associations for moves for now, for {@link TIRED_MS} since the first of them. */
export const TIRED = 'TIRED'
export const TIRED_MS = 6_000

interface Answering {
  connection: Socket
  sendAssociationReject (result: number, source: number, reason: number): void
  sendAbort (): void
}

export async function startLyingPacs (receiverPort: number): Promise<LyingPacs> {
  log.setLevel('silent')
  const held: Held[] = []
  const queries: Array<{ level: Level, keys: Record<string, string> }> = []
  const sockets = new Set<Socket>()
  let tiredSinceMs: number | undefined
  const port = await freePort()
  const pacs = { aeTitle: 'LIAR', host: '127.0.0.1', port, destinations: new Map([['CDRECORD', receiverPort]]) }

  class LyingScp extends Scp {
    readonly connection: Socket
    constructor (socket: Socket, options: object) {
      super(socket, options)
      this.connection = socket
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.once('close', () => { sockets.delete(socket) })
    }

    override associationRequested (association: associations.Association): void {
      const title = association.getCalledAeTitle().trim()
      if (Object.hasOwn(BAD_TITLES, title)) {
        BAD_TITLES[title as keyof typeof BAD_TITLES](this)
        return
      }
      const contexts = association.getPresentationContexts().map(({ id }) => association.getPresentationContext(id))
      if (title === TIRED && contexts.some(context => context.getAbstractSyntaxUid() === SopClass.StudyRootQueryRetrieveInformationModelMove)) {
        tiredSinceMs ??= performance.now()
        if (performance.now() - tiredSinceMs < TIRED_MS) {
          BAD_TITLES.BUSY(this)
          return
        }
      }
      for (const context of contexts) {
        const syntaxes = context.getTransferSyntaxUids()
        if (context.getAbstractSyntaxUid() === WITHOUT[title]) context.setResult(PresentationContextResult.RejectAbstractSyntaxNotSupported)
        else context.setResult(PresentationContextResult.Accept, [TransferSyntax.ExplicitVRLittleEndian, TransferSyntax.ImplicitVRLittleEndian].find(one => syntaxes.includes(one)))
      }
      this.sendAssociationAccept()
    }

    // movescu waits for the end of the connection after its abort
    override abort (): void { this.connection.end() }

    override associationReleaseRequested (): void { this.sendAssociationReleaseResponse() }

    override cEchoRequest (...[request, callback]: Parameters<InstanceType<typeof Scp>['cEchoRequest']>): void {
      const response = responses.CEchoResponse.fromRequest(request)
      response.setStatus(0)
      callback(response)
    }

    override cFindRequest (...[request, callback]: Parameters<InstanceType<typeof Scp>['cFindRequest']>): void {
      const keys = (request.getDataset()?.getElements() ?? {}) as Record<string, string>
      const level = keys['QueryRetrieveLevel'] as Level
      queries.push({ level, keys })
      const matching = held.flatMap(study => answersOf(study, level, keys).map(answer => ({ study, answer })))
      const lie = matching[0]?.study.lie ?? {}
      const answers = matching.map(({ answer }) => answer)
      const what = lie.find?.(level, answers, keys) ?? { answers }
      if (what === 'silence') return
      if (what === 'abort') return this.sendAbort()
      if (what === 'cut') { this.connection.destroy(); return }
      const pending = what.answers.map(elements => {
        const response = responses.CFindResponse.fromRequest(request)
        response.setDataset(new Dataset(elements))
        response.setStatus(PENDING)
        return response
      })
      const final = responses.CFindResponse.fromRequest(request)
      final.setStatus(what.status ?? 0)
      callback([...pending, final])
    }

    override cMoveRequest (...[request]: Parameters<InstanceType<typeof Scp>['cMoveRequest']>): void {
      const keys = (request.getDataset()?.getElements() ?? {}) as Record<string, string | string[]>
      const study = held.find(one => one.instances[0]?.studyInstanceUid === keys['StudyInstanceUID'])
      const uids = [keys['SOPInstanceUID'] ?? []].flat()
      // none is the whole study
      const series = keys['SeriesInstanceUID'] === undefined ? undefined : String(keys['SeriesInstanceUID'])
      const respond = (status: number, { remaining, completed = 0, failed = 0, warning = 0 }: Counts = {}): void => {
        const response = responses.CMoveResponse.fromRequest(request)
        response.setStatus(status)
        if (remaining !== undefined) response.setRemaining(remaining)
        response.setCompleted(completed)
        response.setFailures(failed)
        response.setWarnings(warning)
        // the callback may be called once only
        if (!this.connection.destroyed) this.sendResponse(request, response)
      }
      if (study === undefined) { respond(0, {}); return }
      const destination = pacs.destinations.get(request.getCommandDataset().getElement('MoveDestination')?.trim() ?? '')
      if (destination === undefined) { respond(0xA801); return }
      study.moves.set(series, (study.moves.get(series) ?? 0) + 1)
      const move: Move = {
        receiverPort: destination,
        attempt: study.moves.get(series) ?? 0,
        level: keys['QueryRetrieveLevel'] as Level,
        wanted: study.instances.filter(({ seriesInstanceUid, sopInstanceUid }) =>
          (series === undefined || seriesInstanceUid === series) && (uids.length === 0 || uids.includes(sopInstanceUid))),
        send: async files => await store(files, destination),
        pending: counts => { respond(PENDING, counts) },
        final: respond,
        abort: () => { this.sendAbort() },
        cut: () => { this.connection.destroy() }
      }
      void (study.lie.move ?? honest)(move)
    }
  }

  const server = new Server(LyingScp as unknown as typeof Scp)
  server.on('networkError', () => {})
  server.listen(port)
  return Object.assign(pacs, {
    queries,
    add: (patient: PhantomPatient, instances: readonly PhantomInstance[], lie: Lie = {}) => { held.push({ patient, instances, lie, moves: new Map() }) },
    moves: (accessionNumber: string) => held.filter(({ instances }) => instances[0]?.accessionNumber === accessionNumber)
      .flatMap(({ moves }) => [...moves.values()]).reduce((sum, one) => sum + one, 0),
    send: async (files: readonly PhantomInstance[], lie?: StoreLie) => await store(files, receiverPort, lie),
    close: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      await eventually(() => sockets.size === 0)
    }
  })
}

/** What a good PACS does. */
export async function honest (move: Move): Promise<void> {
  move.pending({ remaining: move.wanted.length })
  const completed = await move.send(move.wanted)
  move.final(completed === move.wanted.length ? 0 : 0xB000, { completed, failed: move.wanted.length - completed })
}

/** Waits, in milliseconds: a lie may take its time. */
export async function later (ms: number): Promise<void> {
  await delay(ms, undefined, { ref: false })
}

function answersOf ({ patient, instances }: Held, level: Level, keys: Record<string, string>): Elements[] {
  const [first] = instances
  if (first === undefined) return []
  if (level === 'STUDY') {
    // by accession number, or by a person's number where that is all
    const asked = keys['AccessionNumber'] ?? ''
    if (asked === '' ? keys['PatientID'] !== patient.patientId : asked !== first.accessionNumber) return []
    return [{
      QueryRetrieveLevel: level, SpecificCharacterSet: 'ISO_IR 192', StudyInstanceUID: first.studyInstanceUid, AccessionNumber: first.accessionNumber, PatientName: patient.patientName,
      PatientID: patient.patientId, PatientBirthDate: patient.birthDate, PatientSex: patient.sex, StudyDate: '20240501', StudyTime: '101010', StudyDescription: 'Lies', StudyID: '1'
    }]
  }
  if (keys['StudyInstanceUID'] !== first.studyInstanceUid) return []
  const seriesUids = [...new Set(instances.map(({ seriesInstanceUid }) => seriesInstanceUid))]
  if (level === 'SERIES') {
    return seriesUids.map((seriesInstanceUid, index) => ({
      QueryRetrieveLevel: level, StudyInstanceUID: first.studyInstanceUid, SeriesInstanceUID: seriesInstanceUid, Modality: 'CR', SeriesNumber: String(index + 1), SeriesDescription: 'Lies'
    }))
  }
  return instances.filter(({ seriesInstanceUid }) => seriesInstanceUid === keys['SeriesInstanceUID']).map(({ seriesInstanceUid, sopInstanceUid, instanceNumber }) => ({
    QueryRetrieveLevel: level, StudyInstanceUID: first.studyInstanceUid, SeriesInstanceUID: seriesInstanceUid, SOPInstanceUID: sopInstanceUid,
    InstanceNumber: String(instanceNumber)
  }))
}

async function store (files: readonly PhantomInstance[], port: number, lie: StoreLie = {}): Promise<number> {
  if (files.length === 0) return 0
  let taken = 0
  await new Promise<void>(resolve => {
    const client = new Client()
    for (const { path } of files) {
      const request = new requests.CStoreRequest(path)
      falsify(request, lie)
      request.on('response', (response: InstanceType<typeof responses.Response>) => { if (response.getStatus() === 0) taken++ })
      client.addRequest(request)
    }
    for (const event of ['closed', 'networkError', 'associationRejected']) client.on(event, () => { resolve() })
    client.send('127.0.0.1', port, 'LIAR', 'CDRECORD', { associationLingerTimeout: 0 })
  })
  return taken
}

function falsify (request: InstanceType<typeof requests.CStoreRequest>, { as, keepBytes }: StoreLie): void {
  const dataset = request.getDataset()
  if (dataset === undefined) return
  if (as !== undefined) {
    request.setAffectedSopInstanceUid(as.sopInstanceUid)
    dataset.setElement('SOPInstanceUID', as.sopInstanceUid)
  }
  if (keepBytes !== undefined) {
    const get = request.getDataset.bind(request)
    // the client may put another data set in, in the transfer syntax that was negotiated
    request.getDataset = () => {
      const dataset = get()
      if (dataset === undefined) return undefined
      const cut: typeof dataset = Object.create(dataset)
      cut.getDenaturalizedDataset = (...options) => dataset.getDenaturalizedDataset(...options).subarray(0, keepBytes)
      return cut
    }
  }
}
