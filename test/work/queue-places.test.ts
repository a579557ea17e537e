import t from 'tap'
import type { Manifest } from '../../src/dicom/study.ts'
import { Activities } from '../../src/work/activities.ts'
import type { Activity } from '../../src/work/activity.ts'

const CALLER = { address: '10.0.0.1', credential: undefined, user: undefined }
const WAITING = { received: 0, expected: 1, bytes: 0, waiting: true }

function manifest (uid: string, archive: string | undefined): Manifest {
  const patient = { patientId: 'P', issuerOfPatientId: '', patientName: 'A^B', birthDate: '', sex: '' }
  return {
    studies: [{
      studyInstanceUid: uid, accessionNumber: uid, patient, studyDate: '', studyTime: '', studyDescription: '', studyId: '', seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole', series: [],
      ...(archive === undefined ? {} : { archive })
    }]
  }
}

t.test('places: in the order in which they came, at the same archive, and one for all who wait for the same studies', async t => {
  const activities = new Activities()
  const begin = (uid: string, archive?: string): Activity => {
    const activity = activities.begin({ requestId: uid, kind: 'download', accessionNumbers: [uid], caller: CALLER })
    activity.onManifest(manifest(uid, archive))
    return activity
  }
  const first = begin('1.1', 'main')
  t.equal(first.place, undefined, 'who looks for studies waits for nobody')
  const second = begin('1.2', 'main')
  const third = begin('1.3', 'main')
  const same = begin('1.2', 'main')
  const elsewhere = begin('2.1', 'old')
  for (const activity of [second, first, third, same, elsewhere]) activity.onProgress(WAITING)
  t.strictSame([second, first, third, same, elsewhere].map(({ place }) => place), [1, 2, 3, 1, 1])
  let heard = 0
  activities.listenTo(third, () => { heard++ })
  first.onProgress({ ...WAITING, waiting: false })
  t.strictSame([second, first, third, same, elsewhere].map(({ place }) => place), [1, undefined, 2, 1, 1])
  t.equal(heard, 1, 'whose place is another now hears of it')
  second.cancel('client')
  t.equal(third.place, 2, 'the study is still waited for')
  same.cancel('client')
  t.equal(third.place, 1)
  third.end({ kind: 'success' })
  t.equal(third.place, undefined)
})
