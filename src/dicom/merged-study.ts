/** What several archives say of one study, as one description. Pure. It is for people and for estimates: completeness is judged by each archive's own words. */
import type { Series, Study } from './study.ts'

/**
 * Puts the answers of archives together, a study each. Of an archive that answers twice for one study the first counts: whether both may be, is
 * guarded before.
 */
export function mergedStudies (found: readonly Study[]): Study[] {
  const byUid = new Map<string, Study[]>()
  for (const study of found) {
    const known = byUid.get(study.studyInstanceUid) ?? []
    if (!known.some(({ archive }) => archive === study.archive)) known.push(study)
    byUid.set(study.studyInstanceUid, known)
  }
  return [...byUid.values()].flatMap(sources => {
    const [first, ...others] = sources
    if (first === undefined) return []
    return [others.length === 0 ? first : mergedStudy([first, ...others])]
  })
}

/** @param sources in the order in which they are preferred */
export function mergedStudy (sources: readonly [Study, ...Study[]]): Study {
  const [first] = sources
  const silent = [...new Set(sources.flatMap(({ silent = [] }) => silent))]
  return {
    ...first,
    archive: undefined,
    seriesCount: greatest(sources.map(({ seriesCount }) => seriesCount)),
    instanceCount: greatest(sources.map(({ instanceCount }) => instanceCount)),
    seriesListing: sources.some(({ seriesListing }) => seriesListing === 'cut') ? 'cut' : 'whole',
    series: mergedSeries(sources.flatMap(({ series }) => series)),
    sources,
    ...silent.length === 0 ? {} : { silent }
  }
}

function mergedSeries (all: readonly Series[]): Series[] {
  const byUid = new Map<string, Series>()
  for (const series of all) {
    const known = byUid.get(series.seriesInstanceUid)
    byUid.set(series.seriesInstanceUid, known === undefined ? series : together(known, series))
  }
  return [...byUid.values()]
}

function together (a: Series, b: Series): Series {
  const known = new Set(a.instances.map(({ sopInstanceUid }) => sopInstanceUid))
  const instances = [...a.instances, ...b.instances.filter(({ sopInstanceUid }) => !known.has(sopInstanceUid))]
  const counts = greatest([a.instanceCount, b.instanceCount])
  return {
    ...a,
    bodyPartExamined: a.bodyPartExamined ?? b.bodyPartExamined,
    instances,
    // two halves are more than the greater of them
    instanceCount: counts === undefined ? undefined : Math.max(counts, instances.length),
    listing: a.listing === b.listing ? a.listing : 'cut'
  }
}

function greatest (counts: ReadonlyArray<number | undefined>): number | undefined {
  const known = counts.filter(count => count !== undefined)
  return known.length === 0 ? undefined : known.reduce((most, count) => Math.max(most, count))
}
