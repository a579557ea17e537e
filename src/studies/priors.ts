/** Earlier studies of a patient that come with the asked one. They are a help for who reads the disc: one that does not come whole is left out by name. */
import type { Archives, Asking, FoundStudy } from '../archive/archive.ts'
import { mergedStudies } from '../dicom/merged-study.ts'
import { samePerson } from '../dicom/person.ts'
import type { LeftOutPrior, Study } from '../dicom/study.ts'
import { MkisoError, type ErrorCode } from '../errors.ts'
import { earlierThan, isAlike, likenessOf, type EarlierStudy, type Likeness, type Outlook } from './alike.ts'

export interface Priors {
  /** The last first; down to their series. */
  priors: readonly Study[]
  leftOut: readonly LeftOutPrior[]
}

/** In the log, for whatever reason. */
export const PRIOR_LEFT_OUT = 'an earlier study is left out, and the disc says so'

const NOT_KNOWN_WHICH: LeftOutPrior = { studyDate: '', studyDescription: '', accessionNumber: '' }

/**
 * Studies that are asked for their series, and share nothing then. Of other modalities few: two questions each, which a clerk waits for, and a patient in
 * intensive care has hundreds of them. Where nothing is known of the modalities more, since without them no prior would be found at all.
 */
const MOST_UNLIKE: Readonly<Record<Outlook, number>> = { alike: 100, unknown: 100, other: 20 }

/** An archive that says this has not answered, and says it of the next study too. */
const NO_ANSWER: ReadonlySet<ErrorCode> = new Set(['PACS_UNREACHABLE', 'PACS_TIMEOUT', 'TOO_MANY_CONCURRENT'])

/**
 * The last studies of the same patient before the asked one, of a modality or a body part that it has. Which they are must be known for certain: a patient
 * without an ID has none, and a list that is cut off may lack the last ones.
 * @param asked the studies of one accession number, down to their series, with their body parts
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
    return await new PriorSearch(asked, first, archives, asking).choose(earlierThan(asked, studies), most)
  } catch (error) {
    asking.signal.throwIfAborted()
    asking.log.warn({ accession: first.accessionNumber, err: error }, 'earlier studies of the patient cannot be found: none are put on the disc, and it says so')
    return { priors: [], leftOut: [NOT_KNOWN_WHICH] }
  }
}

/** The earlier studies of one patient, looked at one after the other: the first ones are enough as a rule. */
class PriorSearch {
  readonly #asked: Study
  readonly #likeness: Likeness
  readonly #archives: Archives
  readonly #asking: Asking
  readonly #priors: Study[] = []
  readonly #leftOut: LeftOutPrior[] = []
  readonly #unlike: Record<Outlook, number> = { alike: 0, unknown: 0, other: 0 }
  /** Not looked at any more. */
  readonly #passedOver: Record<Outlook, number> = { alike: 0, unknown: 0, other: 0 }
  #isSilent = false

  constructor (asked: readonly Study[], first: Study, archives: Archives, asking: Asking) {
    this.#asked = first
    this.#likeness = likenessOf(asked)
    this.#archives = archives
    // without a body part in the asked study none is compared
    this.#asking = { ...asking, bodyParts: this.#likeness.bodyParts.size > 0 }
  }

  /** @param earlier the last first */
  async choose (earlier: readonly EarlierStudy[], most: number): Promise<Priors> {
    for (const one of earlier) {
      if (this.#priors.length + this.#leftOut.length >= most) break
      if (this.#isLookedAt(one)) await this.#look(one)
      else this.#passedOver[one.outlook]++
    }
    this.#tellPassedOver()
    const isUncertain = this.#passedOver.alike + this.#passedOver.unknown > 0
    return { priors: this.#priors, leftOut: isUncertain ? [...this.#leftOut, NOT_KNOWN_WHICH] : this.#leftOut }
  }

  #isLookedAt ({ outlook }: EarlierStudy): boolean {
    return this.#unlike[outlook] < MOST_UNLIKE[outlook] && !(outlook === 'other' && this.#isSilent)
  }

  async #look ({ study: earlier, outlook }: EarlierStudy): Promise<void> {
    // of another modality, and nobody could put it on a disc: that it should be on this one is not known
    if (outlook === 'other' && earlier.accessionNumber === '') return
    const described = await describe(earlier, this.#asked, this.#archives, this.#asking)
    if (described instanceof MkisoError) {
      const fields = { accession: this.#asked.accessionNumber, prior: earlier.accessionNumber, study: earlier.studyInstanceUid, err: described }
      this.#isSilent ||= NO_ANSWER.has(described.code)
      if (outlook === 'other') {
        this.#unlike.other++
        this.#asking.log.info(fields, 'whether an earlier study of another modality shares a body part is not known: it is not put on the disc')
      } else {
        this.#leftOut.push(leftOutPrior(earlier))
        this.#asking.log.warn(fields, PRIOR_LEFT_OUT)
      }
    } else if (isAlike(this.#likeness, described)) this.#priors.push(described)
    else this.#unlike[outlook]++
  }

  #tellPassedOver (): void {
    const { alike, unknown, other } = this.#passedOver
    const { accessionNumber: accession } = this.#asked
    const { log } = this.#asking
    if (alike + unknown > 0) {
      log.warn({ accession, looked_at: this.#unlike.alike + this.#unlike.unknown, not_looked_at: alike + unknown },
        'too many studies of the patient would have to be looked at for their modality: earlier ones may not be on the disc, and it says so')
    }
    if (other > 0) {
      log.info({ accession, looked_at: this.#unlike.other, not_looked_at: other }, 'the other studies of the patient that share no modality are not looked at for their body part')
    }
  }
}

export function leftOutPrior ({ studyDate, studyDescription, accessionNumber }: Study): LeftOutPrior {
  return { studyDate, studyDescription, accessionNumber }
}

/** As it is asked for by its own accession number, in every archive, with every guard; the error where that cannot be. */
async function describe (prior: FoundStudy, asked: Study, archives: Archives, asking: Asking): Promise<Study | MkisoError> {
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
    return error
  }
}
