/** Who wants to know how far work has come; callers that share one piece of work all hear of it, those that join later too. */
import type { Manifest } from '../dicom/study.ts'
import type { Progress } from './held-study.ts'

/** What retrieval, disc and relay tell about a request's work, in this order. */
export interface Watch {
  /** Whose studies these are, as soon as the PACS has told; and again with their instances. */
  onManifest (manifest: Manifest): void
  onProgress (progress: Progress): void
  /** Every image is here; the disc is being made. */
  onComplete (): void
  /** So many of the images have been taken by the CD publisher. */
  onSent (sent: number, of: number): void
}

/** Tells every watcher; one that joins late hears the last of each kind first. */
export class SharedWatch implements Watch {
  readonly #watchers = new Set<Watch>()
  #manifest: [Manifest] | undefined
  #progress: [Progress] | undefined
  #complete: [] | undefined
  #sent: [number, number] | undefined

  /** @returns the way to leave */
  join (watcher: Watch): () => void {
    if (this.#manifest !== undefined) watcher.onManifest(...this.#manifest)
    if (this.#progress !== undefined) watcher.onProgress(...this.#progress)
    if (this.#complete !== undefined) watcher.onComplete()
    if (this.#sent !== undefined) watcher.onSent(...this.#sent)
    this.#watchers.add(watcher)
    return () => { this.#watchers.delete(watcher) }
  }

  onManifest (...event: [Manifest]): void {
    this.#manifest = event
    for (const watcher of this.#watchers) watcher.onManifest(...event)
  }

  onProgress (...event: [Progress]): void {
    this.#progress = event
    for (const watcher of this.#watchers) watcher.onProgress(...event)
  }

  onComplete (): void {
    this.#complete = []
    for (const watcher of this.#watchers) watcher.onComplete()
  }

  onSent (...event: [number, number]): void {
    this.#sent = event
    for (const watcher of this.#watchers) watcher.onSent(...event)
  }
}
