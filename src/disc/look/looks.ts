/**
 * Kept discs that people look at over the network, without a copy. Who has been let in once has an address of a look and a secret that opens it, for
 * as long as the disc is kept: the pictures of a page can neither carry a key nor ask the archive anew.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { OpenDisc } from '../discs.ts'
import { shownFile, type ShownFile } from './shown-disc.ts'

export interface Look {
  /** Stands in addresses, and so in logs; opens nothing by itself. */
  id: string
  secret: string
}

export interface OpenFile extends ShownFile {
  /** Lets go of the disc. */
  close (): void
}

type Looked = Pick<OpenDisc, 'again' | 'gone'> & { shown: NonNullable<OpenDisc['shown']>, secret: string }

const MOST = 1_000
const ID_BYTES = 12
const SECRET_BYTES = 32

export class Looks {
  readonly #looks = new LRUCache<string, Looked>({ max: MOST })

  /** @returns undefined where the disc has no viewer */
  begin ({ shown, again, gone }: OpenDisc): Look | undefined {
    if (shown === undefined || gone.aborted) return undefined
    const id = randomBytes(ID_BYTES).toString('hex')
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    this.#looks.set(id, { shown, again, gone, secret })
    gone.addEventListener('abort', () => { this.#looks.delete(id) }, { once: true })
    return { id, secret }
  }

  /**
   * A file of the disc, which is held until it is closed.
   * @returns 'gone' where nothing is kept under the id, or the secret is not the one of it; undefined where the disc has no such file
   */
  open ({ id, secret }: Look, path: string): OpenFile | 'gone' | undefined {
    const look = this.#looks.get(id)
    if (look === undefined || !isSame(look.secret, secret)) return 'gone'
    const close = look.again()
    if (close === undefined) return 'gone'
    let file: ShownFile | undefined
    try {
      file = shownFile(look.shown, path)
    } finally {
      if (file === undefined) close()
    }
    return file === undefined ? undefined : { ...file, close }
  }
}

function isSame (a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}
