/** Requests that share the comparison of a kept study: who asked first may leave, and the others get their study. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Archive, FetchOutcome, StudySink } from '../../src/archive/archive.ts'
import { oneArchive } from '../../src/archive/several.ts'
import { readObject } from '../../src/dicom/part10.ts'
import type { Study } from '../../src/dicom/study.ts'
import { silentLog } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { StudyStore } from '../../src/studies/study-store.ts'
import { bytesOf, type MadeImage } from '../made-images.ts'
import { temporaryFolder } from '../world.ts'

const IMAGE: MadeImage = {
  studyInstanceUid: '1.2.3', seriesInstanceUid: '1.2.3.1', sopInstanceUid: '1.2.3.1.1', accessionNumber: 'X', content: 'one',
  patient: { patientId: 'P', patientName: 'DOE^JOHN', birthDate: '19700101', sex: 'M' }
}
const STUDY: Study = {
  studyInstanceUid: '1.2.3', accessionNumber: 'X', patient: { patientId: 'P', issuerOfPatientId: '', patientName: 'DOE^JOHN', birthDate: '19700101', sex: 'M' },
  studyDate: '20240501', studyTime: '', studyDescription: '', studyId: '', seriesCount: 1, instanceCount: 1, seriesListing: 'whole',
  series: [{
    seriesInstanceUid: '1.2.3.1', modality: 'CT', seriesNumber: 1, seriesDescription: '', instanceCount: 1, listing: 'whole',
    instances: [{ sopInstanceUid: '1.2.3.1.1', sopClassUid: '', instanceNumber: 1 }]
  }]
}
const SENT: FetchOutcome = { end: 'success', total: 1, sent: 1, failed: 0, reason: '', fault: undefined, hopeless: false }

t.test('who asked first leaves while the archive is asked', async t => {
  const folder = temporaryFolder(t)
  const comparisons: AbortSignal[] = []
  let files = 0
  let sink: StudySink | undefined
  const archive: Archive = {
    name: 'HERE',
    findStudies: async () => [STUDY],
    search: async () => ({ studies: [], cut: false }),
    listInstances: async study => study,
    open: async () => ({
      receive: (_study, receiver) => {
        sink = receiver
        return () => { sink = undefined }
      },
      fetch: async ({ sopInstanceUids }, { signal, onStart }) => {
        onStart?.()
        // the first comparison waits for ever
        if (sopInstanceUids !== undefined && comparisons.push(signal) === 1) {
          await once(signal, 'abort')
          signal.throwIfAborted()
        }
        const path = join(folder, `came_${++files}`)
        writeFileSync(path, bytesOf(IMAGE))
        await sink?.offer({ path, object: await readObject(path), provenance: 'ours', from: 'here' })
        return SENT
      },
      mayStillSend: () => false,
      turnedAway: () => undefined,
      destination: 'here',
      close: async () => {}
    })
  }
  const store = new StudyStore({
    archives: oneArchive(archive),
    workDir: folder,
    log: silentLog,
    limitsOf: () => ({ idleTimeoutMs: 60_000, settleTimeoutMs: 1_000, queueTimeoutMs: 60_000 }),
    rules: { allowMixedPatients: false, allowReassigned: false, allowIncomplete: false },
    keepForMs: 60_000,
    keepMaxBytes: 1e9,
    diskReserveBytes: 0,
    estimate: { factor: 0 }
  })
  t.teardown(async () => { await store.close() })
  const stays = new AbortController()
  const leaves = new AbortController()
  const made = await store.hold(['X'], { signal: stays.signal, log: silentLog })
  await made.complete(stays.signal)
  made.release()
  t.equal(store.kept, 1)

  const first = store.hold(['X'], { signal: leaves.signal, log: silentLog })
  t.ok(await eventually(() => comparisons.length === 1))
  const second = store.hold(['X'], { signal: stays.signal, log: silentLog })
  // it has asked for the list, and waits for the comparison
  await new Promise(resolve => { setImmediate(resolve) })
  leaves.abort(new Error('gone'))
  await t.rejects(first, { message: 'gone' })
  const holding = await second
  const { studies, missing } = await holding.complete(stays.signal)
  t.equal(missing, 0)
  t.equal(studies[0]?.files.length, 1)
  t.equal(comparisons.length, 2, 'the other asked itself')
  holding.release()
})
