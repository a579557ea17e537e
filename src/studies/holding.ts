/** What a request holds of the studies that it asked for. */
import { createHash } from 'node:crypto'
import { abortable } from '../abort.ts'
import { samePersonReassigned } from '../dicom/person.ts'
import type { Manifest, Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import type { CompleteStudies, HeldFile } from './complete-studies.ts'
import type { Progress } from './held-study.ts'
import { leftOutPrior, PRIOR_LEFT_OUT } from './priors.ts'
import type { StoredStudy } from './stored-study.ts'

/** Held from the moment in which its studies are known; it must be released, which ends what nobody else waits for. */
export interface Holding {
  /** What the archive says that the studies consist of. */
  readonly manifest: Manifest
  /** The same for two requests whose discs are the same, byte for byte. */
  readonly identity: string
  /** One a study; the store emits `removed` with it when the files go. */
  readonly studyIds: readonly string[]
  /**
   * Waits for the last image.
   * @throws MkisoError as fetchStudy, DIFFERENT_PATIENTS
   * @throws the signal's reason
   */
  complete (signal: AbortSignal): Promise<CompleteStudies>
  /** Calls back for each file as it comes; those that are there already come first. What is complete may lack one of them: it was not the archive's. @returns the way to end it */
  onFile (listener: (file: HeldFile) => void): () => void
  /** Calls back for each file that counts no more, before it goes. @returns the way to end it */
  onWithdrawn (listener: (file: HeldFile) => void): () => void
  /** True when a file may be handed out before {@link complete} has resolved (StoredStudy.mayLeave). */
  mayLeave (file: HeldFile): boolean
  /**
   * Holds the same once more, also when this holding was released. What is kept is kept anew from when the last one lets go.
   * @returns the way to let go; undefined where the files of a study have gone, or are not all here
   */
  again (): (() => void) | undefined
  release (): void
}

/** @param log of whoever holds it */
export function createHolding (manifest: Manifest, stored: readonly StoredStudy[], log: Log, again: () => (() => void) | undefined, release: () => void): Holding {
  const studyIds = stored.map(({ id }) => id).sort()
  return {
    manifest,
    studyIds,
    // a description that was corrected at the archive makes another disc of the same files
    identity: createHash('sha256').update(JSON.stringify([studyIds, manifest])).digest('hex'),
    complete: async signal => {
      const failed = await abortable(failedPriors(stored, manifest, log), signal)
      const came = stored.filter(one => !failed.includes(one))
      const descriptions = new Map(manifest.studies.map(study => [study.studyInstanceUid, study]))
      const missing = came.map(one => one.missing)
      const leftOut = [...manifest.priorsLeftOut ?? [], ...failed.map(({ held }) => leftOutPrior(held.study))]
      return {
        ...leftOut.length === 0 ? {} : { priorsLeftOut: leftOut },
        studies: came.flatMap(one => one.complete(descriptions.get(one.studyInstanceUid))),
        missing: missing.some(one => one === undefined) ? undefined : missing.reduce<number>((sum, one) => sum + (one ?? 0), 0)
      }
    },
    onFile: listener => {
      const ends = stored.map(({ held }) => {
        for (const file of held.files.values()) listener(file)
        return held.onFile.add(listener)
      })
      return () => { for (const end of ends) end() }
    },
    onWithdrawn: listener => {
      const ends = stored.map(({ held }) => held.onGone.add(listener))
      return () => { for (const end of ends) end() }
    },
    mayLeave: file => stored.some(one => one.studyInstanceUid === file.object.studyInstanceUid && one.mayLeave(file)),
    again,
    release
  }
}

/**
 * Waits until all have come. An earlier study that does not come is left out and named; it does not spoil what was asked for.
 * @throws what a study that was asked for rejects with
 */
async function failedPriors (stored: readonly StoredStudy[], { studies }: Manifest, log: Log): Promise<StoredStudy[]> {
  const isPrior = new Map(studies.map(({ studyInstanceUid, prior }) => [studyInstanceUid, prior === true]))
  const asked = studies.filter(({ prior }) => prior !== true)
  const failed = await Promise.all(stored.map(async one => {
    if (isPrior.get(one.studyInstanceUid) !== true) {
      await one.done
      return undefined
    }
    const why = await faultOfPrior(one, asked)
    if (why === undefined) return undefined
    const { accessionNumber: prior, studyInstanceUid: study } = one.held.study
    log.warn({ accession: asked[0]?.accessionNumber, prior, study, err: why }, PRIOR_LEFT_OUT)
    return one
  }))
  return failed.filter(one => one !== undefined)
}

/** Why an earlier study cannot stand beside the asked ones; undefined where it is whole and of the same person. */
async function faultOfPrior (stored: StoredStudy, asked: readonly Study[]): Promise<unknown> {
  try {
    await stored.done
  } catch (error) { return error }
  const files = [...stored.held.files.values()]
  const isSamePerson = files.every(({ object }) => asked.every(({ patient }) => samePersonReassigned(patient, object.patient).same))
  if (!isSamePerson) return new MkisoError('DIFFERENT_PATIENTS', 'files of an earlier study')
  return stored.whole ? undefined : new MkisoError('INCOMPLETE_RETRIEVAL', `${files.length} images of an earlier study arrived, and not all`)
}

/**
 * Tells of progress over all studies of a request, first of how far they are.
 * @returns the way to end it
 */
export function followProgress (stored: readonly StoredStudy[], onProgress: (progress: Progress) => void): () => void {
  const tell = (): void => {
    onProgress(stored.map(({ held }) => held.progress).reduce((sum, one) => ({
      received: sum.received + one.received,
      expected: sum.expected === undefined || one.expected === undefined ? undefined : sum.expected + one.expected,
      bytes: sum.bytes + one.bytes,
      // a study of the request that is being fetched is what a person sees
      waiting: sum.waiting && one.waiting,
      stuck: sum.stuck ?? one.stuck
    })))
  }
  tell()
  const ends = stored.map(({ held }) => held.onProgress.add(tell))
  return () => { for (const end of ends) end() }
}
