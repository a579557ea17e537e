/** From accession numbers to the manifest: C-FIND STUDY, then SERIES, then IMAGE. */
import pLimit from 'p-limit'
import { findscu, type Answer, type QueryLevel } from '../../dcmtk/findscu.ts'
import type { Instance, Manifest, Series, Study } from '../../dicom/study.ts'
import type { ToolContext } from '../../dcmtk/peer.ts'
import { MkisoError } from '../../errors.ts'
import { pacsFault, type Pacs } from './pacs.ts'

export interface FindContext extends ToolContext {
  pacs: Pacs
  callingAeTitle: string
  tempDir: string
}

/** Queries at the PACS at the same time, for one request. */
const QUERIES_AT_ONCE = 4

/**
 * Reads the studies of a list of accession numbers, down to their series; {@link findInstances} goes on from there.
 * @throws MkisoError NO_DICOM_DATA when the PACS holds no study for one of them, PACS_UNREACHABLE, PACS_REFUSED, PACS_TIMEOUT
 */
export async function findStudies (context: FindContext, accessionNumbers: readonly string[], signal?: AbortSignal): Promise<Manifest> {
  const limit = pLimit(QUERIES_AT_ONCE)
  const found = await Promise.all(accessionNumbers.map(async accessionNumber => await limit(async () => await findByAccessionNumber(context, accessionNumber, signal))))
  const missing = accessionNumbers.filter((_, index) => found[index]?.length === 0)
  if (missing.length > 0) throw new MkisoError('NO_DICOM_DATA', `the PACS holds no study for ${missing.join(', ')}`)
  // one study can come twice, when a PACS keeps two accession numbers for it
  const studies = [...new Map(found.flat().map(study => [study.studyInstanceUid, study])).values()]
  return { studies: await Promise.all(studies.map(async study => ({ ...study, series: await limit(async () => await findSeries(context, study.studyInstanceUid, signal)) }))) }
}

/**
 * Adds the instances of every series.
 * @throws MkisoError NO_DICOM_DATA for a study without series, PACS_UNREACHABLE, PACS_TIMEOUT
 */
export async function findInstances (context: FindContext, { studies }: Manifest, signal?: AbortSignal): Promise<Manifest> {
  // a disc of it would look whole, and be empty
  const empty = studies.filter(({ series }) => series.length === 0)
  if (empty.length > 0) throw new MkisoError('NO_DICOM_DATA', `the PACS holds no series of the study of ${empty.map(({ accessionNumber }) => accessionNumber).join(', ')}`)
  const limit = pLimit(QUERIES_AT_ONCE)
  return {
    studies: await Promise.all(studies.map(async study => ({
      ...study,
      series: await Promise.all(study.series.map(async series => ({
        ...series,
        instances: await limit(async () => await instancesOf(context, study.studyInstanceUid, series.seriesInstanceUid, signal))
      })))
    })))
  }
}

async function findByAccessionNumber (context: FindContext, accessionNumber: string, signal?: AbortSignal): Promise<Study[]> {
  const answers = await ask(context, 'STUDY', {
    '0008,0050': accessionNumber, '0020,000d': '', '0010,0010': '', '0010,0020': '', '0010,0021': '', '0010,0030': '', '0010,0040': '',
    '0008,0020': '', '0008,0030': '', '0008,1030': '', '0020,0010': ''
  }, signal)
  return answers.flatMap(answer => {
    const text = (tag: string): string => answer.get(tag) ?? ''
    // a PACS may match without regard to case, or take a key for a pattern: only what was asked for counts
    if (text('0008,0050') !== accessionNumber || text('0020,000d') === '') {
      context.log.warn({ accession: accessionNumber }, 'the PACS answered with a study that was not asked for; it is left out')
      return []
    }
    return [{
      studyInstanceUid: text('0020,000d'),
      accessionNumber,
      patient: { patientId: text('0010,0020'), issuerOfPatientId: text('0010,0021'), patientName: text('0010,0010'), birthDate: text('0010,0030'), sex: text('0010,0040') },
      studyDate: text('0008,0020'),
      studyTime: text('0008,0030'),
      studyDescription: text('0008,1030'),
      studyId: text('0020,0010'),
      seriesCount: undefined,
      instanceCount: undefined,
      seriesListing: 'whole',
      series: []
    }]
  })
}

async function findSeries (context: FindContext, studyInstanceUid: string, signal?: AbortSignal): Promise<Series[]> {
  const answers = await ask(context, 'SERIES', {
    '0020,000d': studyInstanceUid, '0020,000e': '', '0008,0060': '', '0020,0011': '', '0008,103e': '', '0020,1209': ''
  }, signal)
  return answers.filter(answer => belongs(answer, '0020,000d', studyInstanceUid) && (answer.get('0020,000e') ?? '') !== '').map(answer => ({
    seriesInstanceUid: answer.get('0020,000e') ?? '',
    modality: answer.get('0008,0060') ?? '',
    seriesNumber: number(answer.get('0020,0011')),
    seriesDescription: answer.get('0008,103e') ?? '',
    instanceCount: number(answer.get('0020,1209')),
    listing: 'none',
    instances: []
  }))
}

/** Empty when the PACS does not answer at this level; completeness then rests on the sub-operation counts. */
async function instancesOf (context: FindContext, studyInstanceUid: string, seriesInstanceUid: string, signal?: AbortSignal): Promise<Instance[]> {
  const keys = { '0020,000d': studyInstanceUid, '0020,000e': seriesInstanceUid, '0008,0018': '' }
  // the SOP class is not asked for: Orthanc opens every file for it, and gives the query up at one that it cannot open (measured)
  const answers = await askIfAnswered(context, { ...keys, '0020,0013': '' }, signal) ?? await askIfAnswered(context, keys, signal) ?? []
  const instances = answers
    .filter(answer => belongs(answer, '0020,000d', studyInstanceUid) && belongs(answer, '0020,000e', seriesInstanceUid))
    .map(answer => ({ sopInstanceUid: answer.get('0008,0018') ?? '', sopClassUid: '', instanceNumber: number(answer.get('0020,0013')) }))
    .filter(({ sopInstanceUid }) => sopInstanceUid !== '')
  if (instances.length === 0) {
    context.log.warn({ pacs: context.pacs.aeTitle, series: seriesInstanceUid },
      'the PACS does not answer IMAGE-level queries for this series: completeness is judged by its sub-operation counts instead of by SOP Instance UIDs')
  }
  return [...new Map(instances.map(instance => [instance.sopInstanceUid, instance])).values()]
}

/** undefined when the PACS refuses the query. */
async function askIfAnswered (context: FindContext, keys: Record<string, string>, signal?: AbortSignal): Promise<readonly Answer[] | undefined> {
  try {
    return await ask(context, 'IMAGE', keys, signal)
  } catch (error) {
    if (error instanceof MkisoError && error.code === 'PACS_REFUSED') return undefined
    throw error
  }
}

/** An attribute that a PACS leaves out says nothing; one that differs means another object. */
function belongs (answer: Answer, tag: string, uid: string): boolean {
  const value = answer.get(tag)
  return value === undefined || value === '' || value === uid
}

/** An IS value, or undefined. */
function number (text: string | undefined): number | undefined {
  return text !== undefined && /^[+-]?\d+$/.test(text.trim()) ? Number(text) : undefined
}

async function ask (context: FindContext, level: QueryLevel, keys: Record<string, string>, signal?: AbortSignal): Promise<readonly Answer[]> {
  const { pacs } = context
  const result = await findscu(context, pacs, { level, keys, callingAeTitle: context.callingAeTitle, timeoutMs: pacs.findTimeoutMs, tempDir: context.tempDir, signal })
  switch (result.kind) {
    case 'answers': return result.answers
    case 'refused': throw new MkisoError('PACS_REFUSED', `C-FIND at ${level} level: ${result.reason}; allow the AE title ${context.callingAeTitle} to query at the PACS`)
    case 'timeout': throw new MkisoError('PACS_TIMEOUT', `no answer to C-FIND at ${level} level within ${pacs.findTimeoutMs / 1_000} s`)
    case 'no-association': throw pacsFault(pacs, context.callingAeTitle, result.fault)
  }
}
