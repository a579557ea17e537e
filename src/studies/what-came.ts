/** The description of a study by what has come of it: the archive's words where it has some, the files' own where it has none. Pure. */
import type { DicomObject } from '../dicom/part10.ts'
import { identityKey, type Instance, type Series, type Study } from '../dicom/study.ts'

/** @param objects all of one study; at least one of a series makes it */
export function whatCame (study: Study, objects: readonly DicomObject[]): Study {
  const described = new Map(study.series.map(series => [series.seriesInstanceUid, series]))
  const numbers = new Map(study.series.flatMap(({ seriesInstanceUid, instances }) =>
    instances.map(({ sopInstanceUid, instanceNumber }): [string, number | undefined] =>
      [identityKey({ studyInstanceUid: study.studyInstanceUid, seriesInstanceUid, sopInstanceUid }), instanceNumber])))
  const bySeries = new Map<string, DicomObject[]>()
  for (const object of objects) {
    const own = bySeries.get(object.seriesInstanceUid)
    if (own === undefined) bySeries.set(object.seriesInstanceUid, [object])
    else own.push(object)
  }
  return {
    ...study,
    series: [...bySeries].map(([seriesInstanceUid, own]): Series => ({
      ...described.get(seriesInstanceUid) ?? describedByFile(own[0]),
      seriesInstanceUid,
      instanceCount: own.length,
      listing: 'whole',
      instances: own.map((object): Instance => ({
        sopInstanceUid: object.sopInstanceUid, sopClassUid: object.sopClassUid, instanceNumber: numbers.get(identityKey(object)) ?? object.instanceNumber
      }))
    }))
  }
}

/** A series that the archive does not list under this UID. */
function describedByFile (object: DicomObject | undefined): Pick<Series, 'modality' | 'seriesNumber' | 'seriesDescription'> {
  const number = Number.parseInt(object?.attributes.text(0x00200011) ?? '', 10)
  return {
    modality: object?.attributes.text(0x00080060) ?? '',
    seriesNumber: Number.isNaN(number) ? undefined : number,
    seriesDescription: object?.attributes.text(0x0008103E) ?? ''
  }
}
