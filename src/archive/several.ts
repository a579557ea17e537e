/**
 * Several archives, asked as one. Each is asked at the same time for what it can have; a study that several have comes back with what each of them says
 * of it. Nothing is put in the place of an answer that is missing: an archive that does not answer is an error, unless the site has said that it may
 * be left out and another has the study.
 */
import pLimit from 'p-limit'
import { mergedStudy } from '../dicom/merged-study.ts'
import type { Study } from '../dicom/study.ts'
import { MkisoError, withName, type ErrorCode } from '../errors.ts'
import type { Archive, Archives, Asking, FoundStudies } from './archive.ts'

export interface Member {
  archive: Archive
  /** It may be left out where it does not answer. */
  optional: boolean
  /** Of the accession numbers that it can have; undefined for any. */
  accessionPattern: RegExp | undefined
}

/** Accession numbers that one archive is asked for at the same time. */
const NUMBERS_AT_ONCE = 4
/** What an archive says that does not answer. One that refuses, or is busy, has answered. */
const SILENT: ReadonlySet<ErrorCode> = new Set(['PACS_UNREACHABLE', 'PACS_TIMEOUT'])

export function oneArchive (archive: Archive): Archives {
  return {
    name: archive.name,
    findStudies: async (accessionNumbers, asking) => await archive.findStudies(accessionNumbers, asking),
    search: async (search, asking) => await archive.search(search, asking),
    listInstances: async (study, asking) => await archive.listInstances(study, asking),
    at: () => archive
  }
}

/** What one archive said when it was asked for one accession number. */
interface Answer {
  member: Member
  accessionNumber: string
  studies: readonly Study[]
  /** It did not answer, or said no. */
  fault?: MkisoError
}

/** @param members in the order in which they are preferred */
export function severalArchives (members: readonly Member[]): Archives {
  const name = members.map(({ archive }) => archive.name).join(', ')
  const at = (wanted: string | undefined): Archive => {
    const member = members.find(({ archive }) => archive.name === wanted)
    if (member === undefined) throw new Error(`there is no archive ${String(wanted)}`)
    return member.archive
  }
  return {
    name,
    at,
    async findStudies (accessionNumbers, asking) {
      const answers = (await Promise.all(members.map(async member => await askOne(member, accessionNumbers, asking)))).flat()
      return accessionNumbers.flatMap(accessionNumber => {
        const ofIt = answers.filter(answer => answer.accessionNumber === accessionNumber)
        return foundOf(accessionNumber, ofIt, asking)
      })
    },
    async search (search, asking) {
      const { accessionNumber = '' } = search
      const possible = members.filter(({ accessionPattern }) => accessionNumber === '' || accessionPattern?.test(accessionNumber) !== false)
      const found = await Promise.all(possible.map(async ({ archive, optional }): Promise<FoundStudies> => {
        try {
          const { studies, cut } = await named(archive, async () => await archive.search(search, asking))
          return { studies: studies.map(study => ({ ...study, archive: archive.name })), cut }
        } catch (error) {
          asking.signal.throwIfAborted()
          if (!optional || !(error instanceof MkisoError) || !SILENT.has(error.code)) throw error
          asking.log.warn({ silent: [archive.name], err: error }, 'an optional archive does not answer: the search does not know what it holds')
          return { studies: [], cut: true }
        }
      }))
      return { studies: found.flatMap(({ studies }) => studies), cut: found.some(({ cut }) => cut) }
    },
    async listInstances (study, asking) {
      const listAt = async (source: Study): Promise<Study> =>
        await named(at(source.archive), async () => ({ ...await at(source.archive).listInstances(source, asking), archive: source.archive }))
      const [first, ...others] = study.sources ?? []
      if (first === undefined) return await listAt(study)
      const [firstListed, ...othersListed] = await Promise.all([listAt(first), ...others.map(listAt)])
      return mergedStudy([firstListed, ...othersListed])
    }
  }
}

async function askOne (member: Member, accessionNumbers: readonly string[], asking: Asking): Promise<Answer[]> {
  const { archive, accessionPattern } = member
  const atOnce = pLimit(NUMBERS_AT_ONCE)
  const possible = accessionNumbers.filter(number => accessionPattern?.test(number) !== false)
  return await Promise.all(possible.map(async accessionNumber => await atOnce(async (): Promise<Answer> => {
    try {
      const studies = await named(archive, async () => await archive.findStudies([accessionNumber], asking))
      return { member, accessionNumber, studies: studies.map(study => ({ ...study, archive: archive.name })) }
    } catch (error) {
      asking.signal.throwIfAborted()
      if (!(error instanceof MkisoError)) throw error
      return error.code === 'NO_DICOM_DATA' ? { member, accessionNumber, studies: [] } : { member, accessionNumber, studies: [], fault: error }
    }
  })))
}

/** @throws MkisoError where an archive that must answer did not, or where nobody has a study */
function foundOf (accessionNumber: string, answers: readonly Answer[], { log }: Asking): Study[] {
  const studies = answers.flatMap(answer => answer.studies)
  const faults = answers.flatMap(({ member, fault }) => fault === undefined ? [] : [{ member, fault }])
  // who may be left out may only where somebody else has the study
  const inTheWay = faults.find(({ member, fault }) => studies.length === 0 || !member.optional || !SILENT.has(fault.code))
  if (inTheWay !== undefined) throw inTheWay.fault
  if (studies.length === 0) {
    const asked = answers.map(({ member }) => member.archive.name).join(', ')
    throw new MkisoError('NO_DICOM_DATA', asked === ''
      ? `no archive can have ${accessionNumber}, by their accession_pattern`
      : `no archive holds a study for ${accessionNumber} (${asked})`)
  }
  if (faults.length === 0) return studies
  const silent = faults.map(({ member }) => member.archive.name)
  log.warn({ accession: accessionNumber, silent, err: faults[0]?.fault },
    'an optional archive does not answer: images that only it holds cannot be ruled out, and the disc says so')
  return studies.map(study => ({ ...study, silent }))
}

/** An error says which of several archives it is about. */
async function named<T> ({ name }: Archive, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw error instanceof MkisoError ? withName(error, name) : error
  }
}
