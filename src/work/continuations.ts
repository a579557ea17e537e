/**
 * Which downloads may go on where they broke. Bytes of two images in one file would be a disc that nobody can trust; and what somebody has
 * cancelled does not go on by itself.
 */
import { LRUCache } from 'lru-cache'

/** So many downloads are remembered, and so long, in milliseconds. */
const REMEMBERED = 10_000
const REMEMBERED_MS = 7 * 24 * 3_600_000

/** Several clients behind one address may have the beginnings of different images. */
const SEVERAL = Symbol('several images')

/** A client is whatever is the same when it comes again: address, program, link. */
export class Continuations {
  readonly #beginnings = new LRUCache<string, { image: string | typeof SEVERAL }>({ max: REMEMBERED, ttl: REMEMBERED_MS })
  readonly #cancelled = new LRUCache<string, true>({ max: REMEMBERED, ttl: REMEMBERED_MS })

  /** The client gets an image from its first byte on; whatever was cancelled before, this is a new click. */
  begins (client: string, etag: string): void {
    this.#cancelled.delete(client)
    const before = this.#beginnings.get(client)?.image
    this.#beginnings.set(client, { image: before === undefined || before === etag ? etag : SEVERAL })
  }

  /** True when the client was given the beginning of this image, and by its link nobody was given another. */
  hasBeginningOf (client: string, etag: string): boolean {
    return this.#beginnings.get(client)?.image === etag
  }

  /** Somebody has said that the download of this client shall end. */
  cancel (client: string): void { this.#cancelled.set(client, true) }

  isCancelled (client: string): boolean { return this.#cancelled.has(client) }
}
