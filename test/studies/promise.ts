/**
 * The one promise, as far as a generated archive must keep it: never a disc that differs from what the archive holds, where that could be told; never
 * an error where every witness was satisfied.
 */
import type { GeneratedArchive, HeldSeries } from './generated-archive.ts'

/** Somebody who does not lie could have told of a missing image; and a stranger's object could be told from the archive's. */
export function couldBeTold (generated: GeneratedArchive): boolean {
  const { series, seriesListing, seriesCount, instanceCount, claims, answers, provenance, stranger } = generated
  const counted = claims === 'right' && answers === 'after'
  const each = (one: HeldSeries): boolean => one.listing === 'whole' || one.count === 'right' || one.count === 'high' || (counted && one.refused < Infinity)
  const images = instanceCount === 'right' || instanceCount === 'high'
  const allSeries = seriesListing === 'whole' ? series.every(each) : (seriesListing === 'cut' || seriesCount === 'right' || seriesCount === 'high') && counted && series.every(({ refused }) => refused < Infinity)
  if (!images && !allSeries) return false
  if (stranger === undefined || provenance === 'ours') return true
  // without a mark a stranger's object is known by the list only, and by the archive's own object if that comes at the same time
  const reliable = series.every(one => one.refused === 0 && one.images.every(({ lost }) => lost === 0)) && !generated.breaks && answers === 'after'
  // who counts too high vouches for it: that is what it looks like where a list was cut without a word
  const vouched = [instanceCount, ...series.map(one => one.count)].includes('high') || claims === 'high'
  return reliable && series.every(one => one.listing === 'whole') && seriesListing === 'whole' && !(vouched && stranger.kind === 'extra')
}

/** Nobody lies, somebody can tell, and everything comes sooner or later. */
export function mustSucceed (generated: GeneratedArchive): boolean {
  const { series, seriesListing, seriesCount, instanceCount, claims, answers, provenance, stranger } = generated
  const honest = [seriesCount, instanceCount, ...series.map(one => one.count)].every(count => count === 'right' || count === 'absent') &&
    claims !== 'low' && claims !== 'high' && seriesListing !== 'short' && series.every(({ listing }) => listing !== 'short')
  const counted = claims === 'right' && answers === 'after'
  const each = (one: HeldSeries): boolean => one.listing === 'whole' || one.count === 'right' || (counted && !one.images.some(({ twice }) => twice))
  const listed = (one: HeldSeries): boolean => one.listing === 'whole' || one.count === 'right'
  const known = instanceCount === 'right' || (seriesListing === 'whole' && series.every(each)) || (counted && seriesListing === 'cut' && series.every(one => !one.images.some(({ twice }) => twice)))
  const told = answers !== 'never' || (seriesListing === 'whole' && series.every(listed))
  const comes = series.every(one => one.refused <= 1 && one.images.every(({ lost }) => lost <= 1))
  // each of these alone is asked for again; all of them at once may be too much
  const troubles = series.reduce((sum, one) => sum + one.refused + Math.max(...one.images.map(({ lost }) => lost)), 0) + (generated.breaks ? 1 : 0)
  const alone = stranger === undefined || provenance === 'ours'
  // an image that its file puts into another series is known by its UID, if that stands once
  const images = series.flatMap(one => one.images)
  const moved = images.some(({ seriesInFile }) => seriesInFile.startsWith('6.'))
  const clear = !moved || (new Set(images.map(({ sopInstanceUid }) => sopInstanceUid)).size === images.length && series.every(one => one.listing === 'whole'))
  return honest && known && told && comes && troubles <= 1 && alone && clear && (answers !== 'never' || troubles === 0)
}

/** What is wrong with a disc that holds these contents; nothing where it is right. */
export function differences (truth: ReadonlySet<string>, disc: ReadonlySet<string>): string[] {
  return [...truth].filter(one => !disc.has(one)).map(one => `lacks ${one}`).concat([...disc].filter(one => !truth.has(one)).map(one => `holds ${one}`))
}
