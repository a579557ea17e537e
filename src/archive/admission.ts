/**
 * How many requests may ask an archive what it has. One that has to wait for its turn holds a connection, memory, and a person: beyond some number it is
 * better told at once to come again than after minutes.
 */
import { MkisoError } from '../errors.ts'
import type { Archive } from './archive.ts'

export interface AdmissionOptions {
  /** Where its key stands in the configuration: `pacs`, or `archives.0`. */
  section: string
  most: number
}

const RETRY_AFTER_SECONDS = 30

/**
 * The archive, for so many requests at a time. What an admitted request asks afterwards (lists, moves) is not held against it: no disc breaks off for it.
 * @throws from findStudies and search: MkisoError TOO_MANY_CONCURRENT at once, when there are as many already
 */
export function admitting (archive: Archive, { section, most }: AdmissionOptions): Archive {
  let asking = 0
  const admit = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (asking >= most) {
      throw new MkisoError('TOO_MANY_CONCURRENT', `${most} requests ask ${archive.name} already what it has (${section}.max_waiting)`, { retryAfterSeconds: RETRY_AFTER_SECONDS })
    }
    asking++
    try { return await ask() } finally { asking-- }
  }
  return {
    name: archive.name,
    findStudies: async (accessionNumbers, options) => await admit(async () => await archive.findStudies(accessionNumbers, options)),
    search: async (search, options) => await admit(async () => await archive.search(search, options)),
    listInstances: async (study, options, only) => await archive.listInstances(study, options, only),
    open: async options => await archive.open(options)
  }
}
