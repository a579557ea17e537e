/**
 * What a disc wants of each image that is in memory already, its directory record and what the viewer shows of it, is worked out while others arrive:
 * 600 CT images take 150 ms of it, which nobody has to wait for when the last one has come (measured).
 */
import type { DicomObject } from '../dicom/part10.ts'
import { recordOf } from './dicomdir/records.ts'
import { describeBeforehand } from './viewer/image-description.ts'

export class Beforehand {
  readonly #viewer: boolean
  #waiting: DicomObject[] = []
  #turn: NodeJS.Immediate | undefined

  /** @param viewer the disc has one */
  constructor (viewer: boolean) {
    this.#viewer = viewer
  }

  /** Its turn comes when the archive has been answered, which sends the next image meanwhile. */
  add (object: DicomObject): void {
    this.#waiting.push(object)
    this.#turn ??= setImmediate(() => { this.#next() })
  }

  /** Nothing is worked out any more. */
  end (): void {
    clearImmediate(this.#turn)
    this.#waiting = []
  }

  /** One at a time: whatever else waits for this thread comes between. */
  #next (): void {
    const object = this.#waiting.pop()
    this.#turn = object === undefined ? undefined : setImmediate(() => { this.#next() })
    if (object !== undefined) work(object, this.#viewer)
  }
}

function work (object: DicomObject, viewer: boolean): void {
  recordOf(object)
  try {
    if (viewer) describeBeforehand(object)
  } catch {
    // whoever makes the disc meets it again, and says so there
  }
}
