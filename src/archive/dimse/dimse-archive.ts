/** A PACS that speaks DIMSE, as an archive: C-FIND finds and lists, C-MOVE or C-GET fetches, our own Storage SCP receives. */
import type { Archive, FetchOptions, FetchOutcome, FetchSession } from '../archive.ts'
import type { FetchPart } from '../../dicom/study.ts'
import { outcomeOf, type FetchAnswer } from './fetch-outcome.ts'
import type { Pacs } from './pacs.ts'
import { RememberedStudies } from '../remembered-studies.ts'
import type { Transport, TransportSession } from './transport.ts'

export interface DimseArchiveOptions {
  pacs: Pacs
  find: Pick<Archive, 'findStudies' | 'listInstances' | 'search'>
  transport: Transport
  /**
   * Waits for a turn at the PACS, and asks in it; asks again while the PACS is busy.
   * @throws MkisoError TOO_MANY_CONCURRENT
   * @throws the signal's reason
   */
  inTurn: (ask: () => Promise<FetchAnswer>, options: FetchOptions) => Promise<FetchAnswer>
}

export function createDimseArchive ({ pacs, find, transport, inTurn }: DimseArchiveOptions): Archive {
  const studies = new RememberedStudies()

  const fetch = async (session: TransportSession, part: FetchPart, options: FetchOptions): Promise<FetchOutcome> => {
    const { log, signal, onActivity } = options
    const remembered = studies.of(part.studyInstanceUid)
    const fields = { accession: remembered?.accessionNumber, pacs: pacs.name, series: part.seriesInstanceUid }
    const answer = await inTurn(async () => {
      log.info(fields, `running ${session.tool}`)
      return await session.fetch(part, { signal, log, onActivity: () => { onActivity?.() }, remembered })
    }, options)
    const outcome = outcomeOf(answer, { pacs, callingAeTitle: session.callingAeTitle, destination: session.destination })
    if (outcome.end !== 'success') log.error({ ...fields, ...describe(answer) }, `${session.tool} failed`)
    return outcome
  }

  return {
    name: pacs.name,
    ...studies.asking(find),
    async open (asking): Promise<FetchSession> {
      const session = await transport.open(asking)
      return {
        receive: (studyInstanceUid, sink) => session.wanted.add(studyInstanceUid, sink, pacs.aeTitle),
        fetch: async (part, options) => await fetch(session, part, options),
        mayStillSend: studyInstanceUid => session.mayStillSend(studyInstanceUid),
        turnedAway: () => session.turnedAway(),
        destination: session.destination,
        receiver: session.receiver,
        close: async () => { await session.close() }
      }
    }
  }
}

/** For the log, in the original's fields. */
function describe (answer: FetchAnswer & { exitCode?: number, stderr?: string }): object {
  const end = { exit_code: answer.exitCode, stderr: answer.stderr }
  switch (answer.kind) {
    case 'answered': return { status: `0x${answer.status.toString(16).toUpperCase().padStart(4, '0')}`, ...answer.counts, ...end }
    case 'no-association': return { ...end, stderr: answer.fault.reason }
    case 'timeout': return { ...end, stderr: 'no answer in time' }
    case 'failed': return { ...end, stderr: answer.reason }
  }
}
