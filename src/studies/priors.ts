/** Earlier studies of a patient that come with the asked one. They are a help for who reads the disc: one that does not come whole is left out by name. */
import type { Archives, Asking, FoundStudy } from '../archive/archive.ts'
import { mergedStudies } from '../dicom/merged-study.ts'
import { samePerson } from '../dicom/person.ts'
import type { LeftOutPrior, Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'

export interface Priors {
  /** The last first; down to their series. */
  priors: readonly Study[]
  leftOut: readonly LeftOutPrior[]
}

/** In the log, for whatever reason. */
export const PRIOR_LEFT_OUT = 'an earlier study is left out, and the disc says so'

const NOT_KNOWN_WHICH: LeftOutPrior = { studyDate: '', studyDescription: '', accessionNumber: '' }

/**
 * The last studies of the same patient before the asked one, of a modality that it has. Which they are must be known for certain: a patient without an ID
 * has none, and a list that is cut off may lack the last ones.
 * @param asked the studies of one accession number
 * @param most so many
 * @throws the signal's reason, and nothing of an archive
 */
export async function findPriors (asked: readonly Study[], most: number, archives: Archives, asking: Asking): Promise<Priors> {
  const [first] = asked
  if (first === undefined || first.patient.patientId === '') return { priors: [], leftOut: [] }
  try {
    const { studies, cut } = await archives.search({ patientId: first.patient.patientId, issuerOfPatientId: first.patient.issuerOfPatientId }, asking)
    if (cut) {
      asking.log.warn({ accession: first.accessionNumber }, 'the list of the patient\'s studies is cut off: no earlier ones are put on the disc, and it says so')
      return { priors: [], leftOut: [NOT_KNOWN_WHICH] }
    }
    const priors: Study[] = []
    const leftOut: LeftOutPrior[] = []
    const modalities = modalitiesOf(asked)
    for (const prior of earlierThan(asked, studies)) {
      if (priors.length + leftOut.length >= most) break
      const study = await describe(prior, first, archives, asking)
      if (study === undefined) leftOut.push(leftOutPrior(prior))
      // dcmqrscp names no modalities of a study (measured): its series do
      else if ([...modalitiesOf([study])].some(modality => modalities.has(modality))) priors.push(study)
    }
    return { priors, leftOut }
  } catch (error) {
    asking.signal.throwIfAborted()
    asking.log.warn({ accession: first.accessionNumber, err: error }, 'earlier studies of the patient cannot be found: none are put on the disc, and it says so')
    return { priors: [], leftOut: [NOT_KNOWN_WHICH] }
  }
}

/** Which of the patient's studies are earlier ones that may matter, the last first. Pure. */
export function earlierThan (asked: readonly Study[], found: readonly FoundStudy[]): FoundStudy[] {
  const own = new Set(asked.map(({ studyInstanceUid }) => studyInstanceUid))
  const modalities = modalitiesOf(asked)
  const begins = asked.map(momentOf).sort()[0] ?? ''
  const once = new Map<string, FoundStudy>()
  for (const study of found) {
    const isEarlier = study.studyDate !== '' && momentOf(study) < begins
    // an archive that does not name the modalities of a study says nothing against it
    const isAlike = study.modalities.length === 0 || study.modalities.some(modality => modalities.has(modality))
    if (isEarlier && isAlike && !own.has(study.studyInstanceUid) && asked.every(({ patient }) => samePerson(patient, study.patient).same)) {
      if (!once.has(study.studyInstanceUid)) once.set(study.studyInstanceUid, study)
    }
  }
  return [...once.values()].sort((a, b) => momentOf(a) < momentOf(b) ? 1 : -1)
}

function modalitiesOf (studies: readonly Study[]): Set<string> {
  return new Set(studies.flatMap(({ series }) => series.map(({ modality }) => modality)).filter(modality => modality !== ''))
}

export function leftOutPrior ({ studyDate, studyDescription, accessionNumber }: Study): LeftOutPrior {
  return { studyDate, studyDescription, accessionNumber }
}

/** Dates and times as DICOM writes them sort as text. */
function momentOf ({ studyDate, studyTime }: Study): string {
  return `${studyDate} ${studyTime}`
}

/** As it is asked for by its own accession number, in every archive, with every guard; undefined where that cannot be. */
async function describe (prior: FoundStudy, asked: Study, archives: Archives, asking: Asking): Promise<Study | undefined> {
  const fields = { accession: asked.accessionNumber, prior: prior.accessionNumber, study: prior.studyInstanceUid }
  try {
    if (prior.accessionNumber === '') throw new MkisoError('NO_DICOM_DATA', 'it has no accession number')
    const found = (await archives.findStudies([prior.accessionNumber], asking)).filter(({ studyInstanceUid }) => studyInstanceUid === prior.studyInstanceUid)
    if (!found.every(({ patient }) => samePerson(asked.patient, patient).same)) throw new MkisoError('DIFFERENT_PATIENTS', 'an earlier study')
    const [study] = mergedStudies(found)
    if (study === undefined) throw new MkisoError('NO_DICOM_DATA', 'it is not found by its accession number')
    return { ...study, prior: true }
  } catch (error) {
    asking.signal.throwIfAborted()
    if (!(error instanceof MkisoError)) throw error
    asking.log.warn({ ...fields, err: error }, PRIOR_LEFT_OUT)
    return undefined
  }
}
