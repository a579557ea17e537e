import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mentions, readHistory } from '../../src/audit/history.ts'
import { temporaryFolder } from '../world.ts'

const line = (more: object): string => JSON.stringify({
  time: '2024-05-06T07:00:00.000Z', event: 'export', request_id: 'r', address: '10.0.0.1', accession_numbers: ['A.1'], patients: [], studies: [], ...more
})
const PATIENT = { patients: [{ id: 'P.1', name: 'DOE^JOHN' }], studies: [{ uid: '1.1', accession_number: 'A.1', instances: 3 }] }
const all = (): boolean => true

t.test('the audit file from its end: begin and end are one, queries are nobody\'s disc, a line that was cut off is none', async t => {
  const file = join(temporaryFolder(t), 'audit.log')
  t.strictSame(await readHistory(file, all, 10), { entries: [], cut: false }, 'not there yet')
  writeFileSync(file, [
    line({ activity_id: '1', phase: 'begin', ...PATIENT, user: 'siti' }),
    line({ activity_id: '2', phase: 'begin', event: 'transfer', ...PATIENT }),
    line({ event: 'query', phase: 'end', outcome: 'success', ...PATIENT }),
    line({ activity_id: '1', phase: 'end', outcome: 'success', time: '2024-05-06T07:01:00.000Z', user: 'siti' }),
    line({ activity_id: '3', phase: 'end', outcome: 'failed', accession_numbers: ['B.2'] }),
    line({ activity_id: '6', phase: 'end', outcome: 'offered', code: 'DISC_TOO_SMALL' }),
    line({ activity_id: '4', phase: 'begin', event: 'look', ...PATIENT }),
    line({ activity_id: '5' }).slice(0, 40)
  ].join('\n'))
  const { entries, cut } = await readHistory(file, all, 10)
  t.equal(cut, false)
  t.match(entries, [
    { activityId: '4', kind: 'look', outcome: 'begun' },
    { activityId: '6', kind: 'download', outcome: 'offered' },
    { activityId: '3', kind: 'download', outcome: 'failed', patients: [] },
    { activityId: '1', kind: 'download', outcome: 'success', at: '2024-05-06T07:01:00.000Z', patients: [{ id: 'P.1', name: 'DOE^JOHN' }], by: { user: 'siti' } },
    { activityId: '2', kind: 'print', outcome: 'begun', images: 3 }
  ])
  t.match(await readHistory(file, all, 2), { entries: { length: 2 }, cut: true })
  t.match(await readHistory(file, entry => mentions(entry, 'doe j'), 10), { entries: { length: 3 }, cut: false })
  t.match(await readHistory(file, entry => mentions(entry, 'SITI'), 10), { entries: [{ activityId: '1' }] })
})

t.test('of a file that holds years the end is read, and it says so', async t => {
  const file = join(temporaryFolder(t), 'audit.log')
  writeFileSync(file, Array.from({ length: 30_000 }, (_, index) => line({ activity_id: String(index), phase: 'end', outcome: 'success' })).join('\n'))
  const { entries, cut } = await readHistory(file, all, 5)
  t.equal(cut, true)
  t.strictSame(entries.map(({ activityId }) => activityId), ['29999', '29998', '29997', '29996', '29995'])
})
