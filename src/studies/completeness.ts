/**
 * The one place that judges whether a study is complete. A pure function from what the four witnesses said to a verdict; it asks nobody and knows no
 * protocol. The witnesses: the lists of series and instances with how each ended; the counts ((0020,1206), (0020,1208), (0020,1209)); what the archive
 * counted while it sent (sub-operations, PS3.7 9.1.4.1); and the files, by what stands in them.
 *
 * A study is complete when every witness that has spoken is satisfied and at least one of them could have told of a missing image. A witness is
 * satisfied when all that it says is there has come; that more has come than it knows of is no contradiction by itself (an image was stored
 * meanwhile, a list was cut without a word), but somebody must vouch for the rest: the archive's own association, or another witness.
 */
import { identityKey, type InstanceIdentity, type Series, type Study } from '../dicom/study.ts'
import { largestOf } from '../numbers.ts'

/** A file that has come, as far as the judge needs to know it. */
export interface Witnessed extends InstanceIdentity {
  /** It came on an association that belongs to our request: nobody else can have sent it. */
  ours: boolean
  /** It came from another archive, and this one names it too: it need not send it. */
  adopted?: boolean | undefined
}

/** What the archive said of a part that it was asked to send: the last answer that counted. Parts of single instances say nothing that their list does not. */
export interface Claim {
  /** undefined: the whole study. */
  seriesInstanceUid: string | undefined
  /** Instances that the part consists of, as it counted. */
  total: number
  /** Those that it says it could not send. */
  failed: number
  /** Objects of this part that have come since it was asked for, also those that came twice, and those of other studies that it sent with them. */
  delivered: number
}

export interface Evidence {
  study: Study
  claims: readonly Claim[]
  files: readonly Witnessed[]
  /** Objects of which two differ: what is right nobody knows. */
  contested: readonly InstanceIdentity[]
  /** The archive has marked what it sent for us before: what has no mark is somebody else's. */
  marks: boolean
  /**
   * Every question has been answered, no association that brought images is open, and nothing has come for a while. Before that the archive's own
   * count may be the count of what it had sent so far (some answer early, measured).
   */
  quiet: boolean
}

export type Verdict = { /** Of somebody else; not on a disc, whatever it is. */ foreign: readonly Witnessed[] } & (
  | { kind: 'complete' }
  /** So many are missing; `instances` are those whose UIDs are known, `series` those that lack some whose UIDs are not, undefined in it for the study. */
  | { kind: 'missing', expected: number, received: number, instances: readonly InstanceIdentity[], series: ReadonlyArray<string | undefined>, says: readonly string[] }
  /** Witnesses disagree on what there is, or two objects claim to be one. */
  | { kind: 'contradiction', expected: number, received: number, instances: readonly InstanceIdentity[], says: readonly string[] }
  /** Nobody could tell of a missing image. `waiting` is true while that may still change without being asked for again. */
  | { kind: 'unprovable', received: number, why: string, waiting: boolean }
)

/** @returns how many images are missing, at least one; undefined where nobody can tell. Of a study that is not complete. */
export function missingOf (verdict: Verdict): number | undefined {
  return verdict.kind === 'missing' || verdict.kind === 'contradiction' ? Math.max(1, verdict.expected - verdict.received) : undefined
}

/** @returns the verdict; never throws */
export function judge (evidence: Evidence): Verdict {
  const { study, contested, quiet } = evidence
  const count = countFiles(evidence)
  const received = count.files.length
  const gaps = gapsOf(study, count)
  const says = gaps.map(({ text }) => text)
  const expected = largestOf(gaps.map(({ expected }) => expected), received + count.missing.length)

  const [disputed] = contested
  if (disputed !== undefined) {
    const more = contested.length > 1 ? ` and ${contested.length - 1} more` : ''
    says.unshift(`two different objects came for SOP Instance UID ${disputed.sopInstanceUid}${more}`)
    return { kind: 'contradiction', foreign: count.foreign, expected: Math.max(expected, received + contested.length), received, instances: [...contested, ...count.missing], says }
  }
  if (count.missing.length > 0 || gaps.length > 0) {
    const series = gaps.map(({ seriesInstanceUid }) => seriesInstanceUid)
    return { kind: 'missing', foreign: count.foreign, expected: Math.max(expected, received + 1), received, instances: count.missing, series, says }
  }
  const { foreign: extras, unvouched } = extrasOf(study, count)
  const foreign = [...count.foreign, ...extras]
  if (unvouched !== undefined) return { kind: 'contradiction', foreign, expected: received, received, instances: [], says: [unvouched] }
  const proof = proofOf(study, count)
  if (proof.kind === 'none') return { kind: 'unprovable', foreign, received, why: proof.why, waiting: !quiet }
  if (proof.kind === 'by what it sent' && !quiet) {
    return { kind: 'unprovable', foreign, received, why: 'only the archive\'s own count of what it sent could tell of a missing image', waiting: true }
  }
  return { kind: 'complete', foreign }
}

/** What is known of one series, or of the whole study. */
interface Group {
  /** undefined: the study. */
  seriesInstanceUid: string | undefined
  files: readonly Witnessed[]
  /** Number that the archive gives before it sends: (0020,1209), (0020,1208). */
  count: number | undefined
  claim: Claim | undefined
  /** Number of instances in a list that ended with success; undefined for no such list. */
  listed: number | undefined
}

interface Count {
  /** Those that count. */
  files: readonly Witnessed[]
  /** Not of our request, while the archive marks what is. */
  foreign: readonly Witnessed[]
  /** Listed, and not here. */
  missing: readonly InstanceIdentity[]
  series: ReadonlyArray<Group & { series: Series }>
  whole: Group
  /** Files of series that the archive does not list, without those that a list names under another series. */
  strays: readonly Witnessed[]
}

/** Who counts, and for which series. */
function countFiles ({ study, claims, files: all, contested, marks }: Evidence): Count {
  // an archive that marks what it sends for us marks all of it
  const marked = marks || all.some(({ ours, adopted }) => ours && adopted !== true)
  const disputed = new Set(contested.map(identityKey))
  const isForeign = ({ ours, adopted }: Witnessed): boolean => marked && !ours && adopted !== true
  const files = all.filter(file => !isForeign(file) && !disputed.has(identityKey(file)))
  const own = new Map<string, Witnessed[]>(study.series.map(({ seriesInstanceUid }) => [seriesInstanceUid, []]))
  const strays = new Map<string, Witnessed[]>()
  for (const file of files) {
    const series = own.get(file.seriesInstanceUid)
    if (series !== undefined) series.push(file)
    else strays.set(file.sopInstanceUid, [...strays.get(file.sopInstanceUid) ?? [], file])
  }
  // where every series is listed, an image that one of them names and that stands under another in its file is known for what it is
  const allListed = study.series.every(({ listing }) => listing === 'whole' || listing === 'cut')
  const namedBy = new Map<string, number>()
  for (const { instances } of study.series) for (const { sopInstanceUid } of instances) namedBy.set(sopInstanceUid, (namedBy.get(sopInstanceUid) ?? 0) + 1)
  const missing: InstanceIdentity[] = []
  for (const { seriesInstanceUid, instances } of study.series) {
    const ownFiles = own.get(seriesInstanceUid) ?? []
    const here = new Set(ownFiles.map(({ sopInstanceUid }) => sopInstanceUid))
    for (const { sopInstanceUid } of instances) {
      if (here.has(sopInstanceUid)) continue
      // an archive may hold an image under another series than its file names: a series that was corrected there
      const stray = allListed && namedBy.get(sopInstanceUid) === 1 ? strays.get(sopInstanceUid)?.pop() : undefined
      const instance = { studyInstanceUid: study.studyInstanceUid, seriesInstanceUid, sopInstanceUid }
      if (stray !== undefined) ownFiles.push(stray)
      else if (!disputed.has(identityKey(instance))) missing.push(instance)
    }
  }
  const claimOf = (uid: string | undefined): Claim | undefined => claims.find(({ seriesInstanceUid }) => seriesInstanceUid === uid)
  const listedOf = ({ listing, instances }: Series): number | undefined => listing === 'whole' ? instances.length : undefined
  const lists = study.series.map(listedOf)
  return {
    files,
    foreign: all.filter(isForeign),
    missing,
    strays: [...strays.values()].flat(),
    series: study.series.map(series => ({
      series,
      seriesInstanceUid: series.seriesInstanceUid,
      files: own.get(series.seriesInstanceUid) ?? [],
      count: series.instanceCount,
      claim: claimOf(series.seriesInstanceUid),
      listed: listedOf(series)
    })),
    whole: {
      seriesInstanceUid: undefined,
      files,
      count: study.instanceCount,
      claim: claimOf(undefined),
      listed: study.seriesListing === 'whole' && lists.length > 0 && lists.every(one => one !== undefined) ? lists.reduce<number>((sum, one) => sum + (one ?? 0), 0) : undefined
    }
  }
}

/** Fewer came than somebody says there are. */
interface Gap {
  seriesInstanceUid: string | undefined
  lacking: number
  /** Of the whole study, at least. */
  expected: number
  text: string
}

function gapsOf (study: Study, { files, series, whole, strays, missing }: Count): Gap[] {
  const received = files.length
  const ofSeries = series.flatMap(group => gapOf(group, received, strays.length === 0, `of series ${group.seriesInstanceUid ?? ''} `) ?? [])
  // a file under a series that nobody lists may be the image that another series lacks; what a list names has been found already. Not where series are
  // left out of the list: there it is most likely an image of one of those
  const numbers = ofSeries.reduce((sum, { lacking }) => sum + lacking, 0) - missing.length
  const gaps = numbers <= strays.length && missing.length === 0 && listsAllSeries(study) ? [] : ofSeries
  const ofStudy = gapOf(whole, received, true, '')
  if (ofStudy !== undefined && (gaps.length === 0 || ofStudy.expected > received + Math.max(numbers, missing.length))) gaps.push(ofStudy)
  const seriesCame = new Set(files.map(({ seriesInstanceUid }) => seriesInstanceUid)).size
  if (study.seriesCount !== undefined && study.seriesCount > Math.max(study.series.length, seriesCame)) {
    const text = `the archive counts ${study.seriesCount} series (0020,1206), lists ${study.series.length} and sent ${seriesCame}`
    gaps.push({ seriesInstanceUid: undefined, lacking: 1, expected: received + 1, text })
  }
  return gaps
}

/** @param mayBeTwice whether more may have been counted than there are, since an image came twice; not where files stand under another series than they were counted in */
function gapOf (group: Group, received: number, mayBeTwice: boolean, of: string): Gap | undefined {
  const { seriesInstanceUid, files: { length: have }, count = 0, claim, listed } = group
  // an image that came twice was counted twice: believed where somebody else says how many there are, and nothing failed
  const known = group.count !== undefined || listed !== undefined
  const twice = mayBeTwice && known && claim !== undefined && claim.failed === 0 && claim.delivered >= claim.total
  const claimed = claim === undefined || twice ? 0 : claim.total
  const need = Math.max(count, claimed)
  if (need <= have) return undefined
  const who = count >= claimed ? `the archive counts ${count} images ${of}` : `the archive counted ${claimed} images ${of}while it sent`
  return { seriesInstanceUid, lacking: need - have, expected: received + need - have, text: `${who.trim()}, ${have} came` }
}

/** Files that no list names. Another witness must vouch for them, or agree with the list that they are not there. */
function extrasOf (study: Study, { series, whole, strays }: Count): { foreign: Witnessed[], unvouched: string | undefined } {
  const foreign: Witnessed[] = []
  const contradicts = ({ count, claim, files: { length: came } }: Group): boolean => {
    if (count !== undefined && count < came) return true
    // an archive that answers before it is through has counted what it had sent by then
    const counted = count !== undefined || (whole.count !== undefined && whole.count >= whole.files.length)
    const early = claim !== undefined && claim.delivered > claim.total && counted
    return claim !== undefined && claim.total < came && !early
  }
  const vouches = (group: Group): boolean => numbersOf(group).length > 0 && !contradicts(group) && !contradicts(whole)
  for (const group of series) {
    const listed = new Set(group.series.instances.map(({ sopInstanceUid }) => sopInstanceUid))
    const numbers = [...numbersOf(group), ...(group.listed === undefined ? [] : [group.listed])]
    const most = largestOf(numbers, 0)
    const unknown = group.files.filter(({ ours, sopInstanceUid }) => !ours && !listed.has(sopInstanceUid))
    if (numbers.length === 0 || unknown.length === 0 || vouches(group) || (numbersOf(group).length === 0 && vouches(whole))) continue
    // the list, and everybody else, say that it is all
    const saidToBeAll = numbers.length > 1 && numbers.every(number => number === group.listed)
    const isAll = saidToBeAll && !numbersOf(whole).some(number => number >= whole.files.length)
    if (isAll) for (const file of unknown) foreign.push(file)
    else return { foreign, unvouched: `the archive says that series ${group.seriesInstanceUid ?? ''} has ${most} images, and ${group.files.length} came` }
  }
  const unknown = strays.filter(({ ours }) => !ours)
  if (unknown.length === 0 || vouches(whole)) return { foreign, unvouched: undefined }
  const lacking = series.reduce((sum, group) => sum + Math.max(0, largestOf(numbersOf(group), 0) - group.files.length), 0)
  if (lacking >= strays.length) return { foreign, unvouched: undefined }
  const allSpoke = series.length > 0 && series.every(group => numbersOf(group).length > 0 || group.listed !== undefined)
  if (lacking === 0 && allSpoke && listsAllSeries(study) && whole.claim === undefined) return { foreign: [...foreign, ...unknown], unvouched: undefined }
  return { foreign, unvouched: `${unknown.length} images came of series that the archive does not list, and nobody counts them` }
}

/** As far as anybody says. */
function listsAllSeries ({ seriesListing, seriesCount = 0, series }: Study): boolean {
  return seriesListing === 'whole' && seriesCount <= series.length
}

/** What was said of a group in numbers. */
function numbersOf ({ count, claim }: Group): number[] {
  return [...(count === undefined ? [] : [count]), ...(claim === undefined ? [] : [claim.total])]
}

/** Who could have told of a missing image. */
function proofOf (study: Study, { files, series, whole, strays }: Count): { kind: 'by list or count' } | { kind: 'by what it sent' } | { kind: 'none', why: string } {
  if (files.length === 0) return { kind: 'none', why: 'no image came, and nobody says how many there are' }
  if (whole.count !== undefined) return { kind: 'by list or count' }
  const listsAtAll = series.some(({ listed }) => listed !== undefined && listed > 0)
  // what a series lacks may stand under one that nobody lists
  let elsewhere = strays.length
  const proofs = series.map(group => {
    if (group.listed !== undefined || group.count !== undefined || (group.series.listing === 'empty' && listsAtAll)) return 'list'
    // fewer counted than came: it answered before it was through
    const lacking = group.claim === undefined ? Infinity : group.claim.total - group.files.length
    if (lacking < 0 || lacking > elsewhere) return 'none'
    elsewhere -= lacking
    return 'sent'
  })
  const seriesKnown = series.length > 0 && listsAllSeries(study)
  if (seriesKnown && proofs.every(proof => proof === 'list')) return { kind: 'by list or count' }
  if (whole.claim !== undefined && whole.claim.total === files.length) return { kind: 'by what it sent' }
  // what stands under no listed series may be of one that was counted too low
  if (seriesKnown && elsewhere === 0 && proofs.every(proof => proof !== 'none')) return { kind: 'by what it sent' }
  if (!seriesKnown) return { kind: 'none', why: 'the archive does not list all series, and counts neither the images of the study nor what it sent of it' }
  const { seriesInstanceUid = '', claim, files: came } = series[proofs.findIndex(proof => proof !== 'list')] ?? whole
  return {
    kind: 'none',
    why: claim === undefined
      ? `the archive neither lists nor counts the images of series ${seriesInstanceUid}`
      : `the archive counted ${claim.total} images of series ${seriesInstanceUid} while it sent, ${came.length} came, and it does not list them`
  }
}
