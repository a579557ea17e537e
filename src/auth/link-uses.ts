/**
 * What was begun with a signed link while it was good, which is taken to its end after that: a disc that is being made for a page, how that ended, and
 * a download of which the client has the beginning. In memory: after a restart there is none of it.
 */
import { LRUCache } from 'lru-cache'

/** Links that are remembered, and how long after their last beginning, in milliseconds. */
const REMEMBERED = 10_000
const REMEMBERED_MS = 24 * 3_600_000

export class LinkUses {
  /** Id of a disc that is made for a page, to the signature that it was asked for with. */
  readonly #making = new Map<string, string>()
  /** The same of what has ended. */
  readonly #made = new LRUCache<string, string>({ max: REMEMBERED, ttl: REMEMBERED_MS })
  /** How the download under way with a link is ended. */
  readonly #taking = new Map<string, () => void>()
  readonly #begun = new LRUCache<string, Set<string>>({ max: REMEMBERED, ttl: REMEMBERED_MS })

  /**
   * Who comes last with a link that is good for one download has it, since the connection of the one before may be broken without our knowing;
   * that one is ended. So no two can come to an end with it.
   * @returns the way to say that it is over
   */
  takeOver (link: string, end: () => void): () => void {
    this.#taking.get(link)?.()
    this.#taking.set(link, end)
    return () => { if (this.#taking.get(link) === end) this.#taking.delete(link) }
  }

  /** @param id of the disc that is made for a page (/api/iso/progress) */
  making (id: string, signature: string): void { this.#making.set(id, signature) }

  /** It has gone out, or nobody gets it. */
  ended (id: string): void {
    const signature = this.#making.get(id)
    if (signature !== undefined) this.#made.set(id, signature)
    this.#making.delete(id)
  }

  isMaking (id: string, signature: string): boolean { return this.#making.get(id) === signature }

  /** It has ended, and a page that lost its connection before it was told so may ask how. */
  hasMade (id: string, signature: string): boolean { return this.#made.get(id) === signature }

  /** @param etag of the image whose first bytes go out */
  begins (signature: string, etag: string): void {
    const begun = this.#begun.get(signature) ?? new Set()
    this.#begun.set(signature, begun.add(etag))
  }

  /** @param etag undefined for any image */
  hasBegun (signature: string, etag?: string): boolean {
    const begun = this.#begun.get(signature)
    return begun !== undefined && (etag === undefined || begun.has(etag))
  }
}
