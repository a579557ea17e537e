/**
 * Room on the disk for what is about to come. A study is let in when it will fit beside all that are under way and the reserve, by the
 * average size of what came before; and when the disk fills all the same, the youngest retrieval ends before the disk is full, so that the
 * others, the log and the machine go on.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { DicomObject } from '../dicom/part10.ts'
import type { Study } from '../dicom/study.ts'
import { diskOf } from '../disk.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'

export interface DiskSpaceOptions {
  folder: string
  /** Stays free. */
  reserveBytes: number
  estimate: EstimateOptions
  /** Removes something that is only kept; false when there is nothing. */
  makeRoom: () => Promise<boolean>
  log: Log
}

/** What is made of images and lies beside them on the disk. */
export interface EstimateOptions {
  /** Of an image: a picture for the pages, a decoded copy; 0 for none. */
  factor: number
}

/** A study's share, or that of a disc that is made of it. */
export interface Claim {
  /**
   * Tells what will come.
   * @throws MkisoError INSUFFICIENT_DISK_SPACE when it will not fit
   */
  expect (study: Study): Promise<void>
  /** Gives the rest back, and learns from what came. */
  release (objects?: Iterable<DicomObject>, study?: Study): void
}

interface Share {
  expectedBytes: number
  receivedBytes: () => number
  /** undefined where nothing can be given up. */
  end: ((error: MkisoError) => void) | undefined
}

const LOOK_EVERY_MS = 500
const ROOM_TIMEOUT_MS = 2_000
const ROOM_POLL_MS = 50
/** An image of an unknown modality: a CT slice of 512 x 512. */
const FIRST_GUESS_BYTES = 512 * 1_024
/** The weight of the newest in the average. */
const NEWEST = 0.05
const MIB = 1_024 ** 2

export class DiskSpace {
  readonly #options: DiskSpaceOptions
  readonly #shares = new Set<Share>()
  /** Average bytes of an instance, by modality. */
  readonly #averages = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #looking = false
  /** Two claims that each fit may not fit together: one is decided after the other. */
  #deciding: Promise<void> = Promise.resolve()

  constructor (options: DiskSpaceOptions) {
    this.#options = options
  }

  /**
   * @param receivedBytes what has come so far
   * @param end ends the retrieval, when the disk fills
   * @throws MkisoError INSUFFICIENT_DISK_SPACE when not even the reserve is free
   */
  async claim (receivedBytes: () => number, end: (error: MkisoError) => void): Promise<Claim> {
    const share: Share = { expectedBytes: 0, receivedBytes, end }
    const release = (): void => {
      this.#shares.delete(share)
      if (this.#shares.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    await this.#decide(0, () => { this.#shares.add(share) })
    this.#timer ??= setInterval(() => { void this.#look() }, LOOK_EVERY_MS).unref()
    return {
      expect: async study => {
        const expectedBytes = this.estimateBytes(study)
        await this.#decide(expectedBytes - receivedBytes(), () => { share.expectedBytes = expectedBytes })
      },
      release: (objects, study) => {
        release()
        if (objects !== undefined && study !== undefined) this.#learn(study, objects)
      }
    }
  }

  /**
   * Room for files of a known size, such as decoded copies, as long as the work goes on.
   * @throws MkisoError INSUFFICIENT_DISK_SPACE
   */
  async withRoomFor<T> (bytes: number, writtenBytes: () => number, work: () => Promise<T>): Promise<T> {
    const share: Share = { expectedBytes: bytes, receivedBytes: writtenBytes, end: undefined }
    await this.#decide(bytes, () => { this.#shares.add(share) })
    try { return await work() } finally { this.#shares.delete(share) }
  }

  /**
   * Whether so much can be written now without touching the reserve: for what is made of images, each time before it is made. What is only kept goes
   * for it. Other programs write too, whatever was found free when the work began.
   */
  async hasRoomFor (bytes: number): Promise<boolean> {
    const { folder, reserveBytes, makeRoom } = this.#options
    return await freeBytes(folder) >= reserveBytes + bytes || (await makeRoom() && await freeBytes(folder) >= reserveBytes + bytes)
  }

  async #decide (bytes: number, take: () => void): Promise<void> {
    const decision = this.#deciding.then(async () => {
      await this.#fit(bytes)
      take()
    })
    this.#deciding = decision.catch(() => {})
    await decision
  }

  /** By the average size of an instance of each modality; 0 for series of which the PACS tells no count. */
  estimateBytes ({ series }: Study): number {
    const bytes = series.reduce((sum, { modality, instances, instanceCount }) =>
      sum + Math.max(instances.length, instanceCount ?? 0) * (this.#averages.get(modality) ?? FIRST_GUESS_BYTES), 0)
    return Math.round(bytes * (1 + this.#options.estimate.factor))
  }

  async #fit (bytes: number): Promise<void> {
    const { folder, reserveBytes, makeRoom } = this.#options
    let goneSince: number | undefined
    for (;;) {
      const promised = [...this.#shares].reduce((sum, share) => sum + Math.max(0, share.expectedBytes - share.receivedBytes()), 0)
      const free = await freeBytes(folder)
      if (free >= reserveBytes + promised + Math.max(0, bytes)) return
      if (await makeRoom()) {
        goneSince = performance.now()
        continue
      }
      // the discs made of what went hold its bytes a moment longer
      if (goneSince !== undefined && performance.now() - goneSince < ROOM_TIMEOUT_MS) {
        await delay(ROOM_POLL_MS)
        continue
      }
      throw new MkisoError('INSUFFICIENT_DISK_SPACE', `iso.temp_dir has ${mib(free)} MiB free, of which ${mib(reserveBytes)} stay free (iso.disk_reserve)` +
        `${promised > 0 ? ` and ${mib(promised)} are for other requests` : ''}; this one needs about ${mib(Math.max(0, bytes))}`)
    }
  }

  async #look (): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const { folder, reserveBytes, makeRoom, log } = this.#options
    try {
      const free = await freeBytes(folder)
      if (free >= reserveBytes || await makeRoom()) return
      const youngest = [...this.#shares].findLast(({ end }) => end !== undefined)
      if (youngest?.end === undefined) return
      this.#shares.delete(youngest)
      log.error({ free_bytes: free, reserve_bytes: reserveBytes }, 'the disk fills; the youngest fetch is given up')
      youngest.end(new MkisoError('INSUFFICIENT_DISK_SPACE', `iso.temp_dir had only ${mib(free)} MiB free while images arrived (iso.disk_reserve)`))
    } catch (error) {
      log.error({ err: error }, 'the free disk space cannot be read')
    } finally { this.#looking = false }
  }

  #learn (study: Study, objects: Iterable<DicomObject>): void {
    const modalities = new Map(study.series.map(({ seriesInstanceUid, modality }) => [seriesInstanceUid, modality]))
    for (const { seriesInstanceUid, sizeBytes } of objects) {
      const modality = modalities.get(seriesInstanceUid)
      if (modality === undefined) continue
      const average = this.#averages.get(modality)
      this.#averages.set(modality, average === undefined ? sizeBytes : average + NEWEST * (sizeBytes - average))
    }
  }
}

async function freeBytes (folder: string): Promise<number> {
  return (await diskOf(folder)).freeBytes
}

function mib (bytes: number): number {
  return Math.floor(bytes / MIB)
}
