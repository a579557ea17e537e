/** What a held study does with an object that it cannot take: whoever sent it must not hear success, and a disc must not count it. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Delivery } from '../../src/archive/archive.ts'
import { Attributes } from '../../src/dicom/attributes.ts'
import type { Study } from '../../src/dicom/study.ts'
import { silentLog } from '../../src/process.ts'
import { judge } from '../../src/studies/completeness.ts'
import { HeldStudy } from '../../src/studies/held-study.ts'
import { filesOnDisk, type StudyFiles } from '../../src/studies/study-files.ts'
import { temporaryFolder } from '../world.ts'

const STUDY = '1.2.3'
const SERIES = '1.2.3.1'
const PATIENT = { patientId: 'P', issuerOfPatientId: '', patientName: 'TEST^ONE', birthDate: '', sex: '' }
const UIDS = ['1.1', '1.2'] as const

function studyOf (): Study {
  return {
    studyInstanceUid: STUDY, accessionNumber: 'X', patient: PATIENT, studyDate: '', studyTime: '', studyDescription: '', studyId: '', seriesCount: 1, instanceCount: 2, seriesListing: 'whole',
    series: [{
      seriesInstanceUid: SERIES, modality: 'CT', seriesNumber: 1, seriesDescription: '', instanceCount: 2, listing: 'whole',
      instances: UIDS.map(sopInstanceUid => ({ sopInstanceUid, sopClassUid: '1', instanceNumber: 1 }))
    }]
  }
}

function world (t: Test, files: Partial<StudyFiles>): { held: HeldStudy, deliveryOf: (sopInstanceUid: string, content: string) => Delivery } {
  const workDir = temporaryFolder(t, 'held')
  const incoming = join(workDir, 'incoming')
  mkdirSync(incoming)
  let n = 0
  return {
    held: new HeldStudy(studyOf(), { workDir, log: silentLog, files: { ...filesOnDisk, ...files } }, true),
    deliveryOf: (sopInstanceUid, content) => {
      const path = join(incoming, String(++n))
      writeFileSync(path, content)
      const object = {
        sopInstanceUid, sopClassUid: '1', studyInstanceUid: STUDY, seriesInstanceUid: SERIES, transferSyntaxUid: '1.2.840.10008.1.2.1', patient: PATIENT, instanceNumber: 1, sizeBytes: content.length,
        attributes: new Attributes(Buffer.alloc(0)), pixelData: undefined, remarks: []
      }
      return { path, object, provenance: 'archive', from: '10.0.0.5 as ABPACS' }
    }
  }
}

const fault = (): Error => Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })

t.test('it cannot be moved: it is not held, whoever sent it is told, and the message of the error says why', async t => {
  let broken = true
  const move = (from: string, to: string): void => {
    if (broken) throw fault()
    filesOnDisk.move(from, to)
  }
  const { held, deliveryOf } = world(t, { move })
  const first = deliveryOf('1.1', 'one')
  await t.rejects(held.offer(first), { code: 'EIO' })
  broken = false
  await held.offer(deliveryOf('1.2', 'two'))
  t.equal(held.files.size, 1, 'those behind it are taken')
  t.match(judge(held.evidence(true)), { kind: 'missing', instances: [{ sopInstanceUid: '1.1' }] })
  t.match([...held.brokenOff], [['1.1', 'it could not be taken: EIO']])
  t.ok(existsSync(first.path), 'whoever received it removes it')
  await held.offer(deliveryOf('1.1', 'one'))
  t.equal(judge(held.evidence(true)).kind, 'complete', 'it came again')
  t.strictSame([...held.brokenOff], [])
})

t.test('it came twice and cannot be compared: the one that is here stays, and the second one is no success', async t => {
  const { held, deliveryOf } = world(t, { same: async () => { throw fault() } })
  await held.offer(deliveryOf('1.1', 'one'))
  await t.rejects(held.offer(deliveryOf('1.1', 'other')), { code: 'EIO' })
  t.equal(held.files.size, 1)
  await held.offer(deliveryOf('1.2', 'two'))
  t.equal(held.files.size, 2)
})

t.test('two that differ under the same UIDs: neither counts, nor a third, until it is asked for again', async t => {
  const { held, deliveryOf } = world(t, {})
  await held.offer(deliveryOf('1.2', 'two'))
  for (const content of ['one', 'another', 'one']) await held.offer(deliveryOf('1.1', content))
  t.strictSame([...held.files.values()].map(({ object }) => object.sopInstanceUid), ['1.2'])
  t.not(judge(held.evidence(true)).kind, 'complete')
  held.askAgain()
  await held.offer(deliveryOf('1.1', 'one'))
  t.equal(judge(held.evidence(true)).kind, 'complete')
})

t.test('what the archive marks as sent for us wins over what came from elsewhere under its UIDs, whichever comes first', async t => {
  for (const order of [['stranger', 'ours'], ['ours', 'stranger']] as const) {
    await t.test(order.join(', then '), async t => {
      const { held, deliveryOf } = world(t, {})
      for (const who of order) await held.offer({ ...deliveryOf('1.1', who), provenance: who === 'ours' ? 'ours' : 'unknown' })
      t.equal(held.files.size, 1)
      t.strictSame([...held.files.values()].map(({ object }) => object.sizeBytes), ['ours'.length])
      t.ok([...held.files.values()].every(file => held.isMarked(file)))
    })
  }
})

t.test('a UID that is none names no image', async t => {
  const { held, deliveryOf } = world(t, {})
  await held.offer(deliveryOf('../1', 'one'))
  await held.offer(deliveryOf('', 'one'))
  t.equal(held.files.size, 0)
})
