/** What a request holds of the studies that it asked for. */
import { createHash } from 'node:crypto'
import { abortable } from '../abort.ts'
import { sopInstanceUidsOf, type Manifest } from '../dicom/study.ts'
import type { StudyEntry } from './held-study.ts'
import type { Progress, ReceivedFile } from './fetch-study.ts'

/** Held from the moment in which its studies are known; it must be released, which ends what nobody else waits for. */
export interface Retrieval {
  /** What the PACS says that the studies consist of. */
  readonly manifest: Manifest
  /** The same for two requests whose discs are the same, byte for byte. */
  readonly identity: string
  /** One a study; {@link Retrievals} emits `removed` with it when the files go. */
  readonly entryIds: readonly string[]
  /**
   * Waits for the last image.
   * @throws MkisoError as {@link StudyRetrieval.run}
   * @throws the signal's reason
   */
  complete (signal: AbortSignal): Promise<CompleteStudies>
  /** Calls back for each file as it comes; those that are there already come first. @returns the way to end it */
  onFile (listener: (file: ReceivedFile) => void): () => void
  release (): void
}

export interface CompleteStudies {
  readonly manifest: Manifest
  /** By SOP Instance UID. The files belong to the retrieval: link them, do not change or move them. */
  readonly files: ReadonlyMap<string, ReceivedFile>
  /** Images that are missing, which only disc.allow_incomplete lets through. */
  readonly missing: number
}

export function asRetrieval (manifest: Manifest, held: readonly StudyEntry[], release: () => void): Retrieval {
  const entryIds = held.map(({ id }) => id).sort()
  return {
    manifest,
    entryIds,
    // a description that was corrected at the PACS makes another disc of the same files
    identity: createHash('sha256').update(JSON.stringify([entryIds, manifest])).digest('hex'),
    complete: async signal => {
      await abortable(Promise.all(held.map(async ({ done }) => { await done })), signal)
      const files = new Map(held.flatMap(({ retrieval }) => [...retrieval.files]))
      const studies = manifest.studies.map(study => {
        const { study: received } = held.find(({ studyInstanceUid }) => studyInstanceUid === study.studyInstanceUid)?.retrieval ?? { study }
        return sopInstanceUidsOf(study).length > 0 ? study : { ...study, series: received.series }
      })
      return { manifest: { studies }, files, missing: studies.flatMap(sopInstanceUidsOf).filter(uid => !files.has(uid)).length }
    },
    onFile: listener => {
      for (const { retrieval } of held) {
        for (const file of retrieval.files.values()) listener(file)
        retrieval.on('file', listener)
      }
      return () => { for (const { retrieval } of held) retrieval.off('file', listener) }
    },
    release
  }
}

/**
 * Tells of progress over all studies of a request, first of how far they are.
 * @returns the way to end it
 */
export function followProgress (held: readonly StudyEntry[], onProgress: (progress: Progress) => void): () => void {
  const tell = (): void => {
    onProgress(held.map(({ retrieval }) => retrieval.progress).reduce((sum, one) => ({
      received: sum.received + one.received,
      expected: sum.expected === undefined || one.expected === undefined ? undefined : sum.expected + one.expected,
      bytes: sum.bytes + one.bytes,
      // a study of the request that is being fetched is what a person sees
      waiting: sum.waiting && one.waiting
    })))
  }
  tell()
  for (const { retrieval } of held) retrieval.on('progress', tell)
  return () => { for (const { retrieval } of held) retrieval.off('progress', tell) }
}
