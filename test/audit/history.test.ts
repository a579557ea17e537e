import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { mentions, readHistory } from '../../src/audit/history.ts'
import { readBack } from '../../src/audit/read-back.ts'
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
  writeFileSync(file, Array.from({ length: 30_000 }, (_, index) => line({ activity_id: String(index), phase: 'end', outcome: 'success', padding: 'x'.repeat(600) })).join('\n'))
  const { entries, cut } = await readHistory(file, all, 5)
  t.equal(cut, true)
  t.match(await readHistory(file, ({ activityId }) => activityId === '3', 5), { entries: [], cut: true }, 'what stands before is not said to be none')
  t.strictSame(entries.map(({ activityId }) => activityId), ['29999', '29998', '29997', '29996', '29995'])
})

t.test('what logrotate has put away is read on with, whatever it calls it, and packed or not', async t => {
  for (const names of [['audit.jsonl.1', 'audit.jsonl.2.gz', 'audit.jsonl.10.gz'], ['audit.jsonl-20240601', 'audit.jsonl-20240501.gz', 'audit.jsonl-20240401.gz'], ['audit-20240601.jsonl', 'audit-20240501.jsonl.gz', 'audit-20240401.jsonl.gz']]) {
    const file = join(temporaryFolder(t), 'audit.jsonl')
    const write = (name: string, ageDays: number, lines: readonly string[]): void => {
      const path = join(dirname(file), name)
      const text = `${lines.join('\n')}\n`
      writeFileSync(path, name.endsWith('.gz') ? gzipSync(text) : text)
      const at = new Date(Date.now() - ageDays * 86_400_000)
      utimesSync(path, at, at)
    }
    write(names[2] ?? '', 90, [line({ activity_id: '1', phase: 'end', outcome: 'success' })])
    write(names[1] ?? '', 60, [line({ activity_id: '2', phase: 'end', outcome: 'success' }), line({ activity_id: '3', phase: 'end', outcome: 'failed' })])
    write(names[0] ?? '', 30, [line({ activity_id: '4', phase: 'begin', ...PATIENT, user: 'siti' })])
    // of others
    write('other.jsonl.1', 30, [line({ activity_id: '9', phase: 'end', outcome: 'success' })])
    write('audit.jsonl.bak', 30, [line({ activity_id: '9', phase: 'end', outcome: 'success' })])
    writeFileSync(file, line({ activity_id: '4', phase: 'end', outcome: 'success' }))
    const { entries, cut } = await readHistory(file, all, 10)
    t.strictSame(entries.map(({ activityId, outcome }) => [activityId, outcome]), [['4', 'success'], ['3', 'failed'], ['2', 'success'], ['1', 'success']], names.join())
    t.equal(cut, false)
    t.match(entries[0], { patients: [{ id: 'P.1' }] }, 'it began in the file before')
    t.match(await readHistory(file, all, 2), { entries: { length: 2 }, cut: true })
    // just put away: the service has written nothing since
    rmSync(file)
    t.strictSame((await readHistory(file, all, 10)).entries.map(({ activityId }) => activityId), ['4', '3', '2', '1'])
    renameSync(join(dirname(file), names[1] ?? ''), join(dirname(file), `${basename(names[1] ?? '', '.gz')}.xz`))
    t.match(await readHistory(file, all, 10), { entries: { length: 1 }, cut: true }, 'what cannot be unpacked is said to be there')
  }
})

t.test('a packed file that swells is not unpacked without end: nothing is read of it, and it is said that there is more', async t => {
  const file = join(temporaryFolder(t), 'audit.jsonl')
  writeFileSync(file, `${line({ activity_id: 'now', phase: 'end', outcome: 'success' })}\n`)
  writeFileSync(`${file}.1.gz`, gzipSync(Buffer.concat([Buffer.from(`${line({ activity_id: 'old', phase: 'end', outcome: 'success' })}\n`.repeat(20_000)), Buffer.alloc(8 * 1_024 ** 2)])))
  const parts: unknown[] = []
  for await (const part of readBack(file, 1_024 ** 2, 4 * 1_024 ** 2)) parts.push(part)
  t.match(parts, [{ isWhole: true, text: /"now"/ }, { isWhole: false, text: '' }])
  t.match(await readHistory(file, all, 10), { entries: [{ activityId: 'now' }, { activityId: 'old' }], cut: false }, 'a line of megabytes is none')
})

t.test('each entry is looked at once, however many files were put away', async t => {
  const [files, each] = [100, 20]
  const file = join(temporaryFolder(t), 'audit.jsonl')
  writeFileSync(file, '')
  for (let index = 1; index <= files; index++) {
    writeFileSync(`${file}.${index}`, Array.from({ length: each }, (_, at) => `${line({ activity_id: `${index}.${at}`, phase: 'end', outcome: 'success' })}\n`).join(''))
    const at = new Date(Date.now() - index * 86_400_000)
    utimesSync(`${file}.${index}`, at, at)
  }
  let looks = 0
  const { entries, cut } = await readHistory(file, ({ activityId }) => {
    looks++
    return activityId === `${files}.0`
  }, 10)
  t.match({ entries, cut }, { entries: [{ activityId: `${files}.0` }], cut: false })
  t.equal(looks, files * each)
})
