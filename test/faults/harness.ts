/** A fault has a name, something that provokes it, and what must come of it. After each, nothing wrong is on a disc and nothing is left. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { PhantomInstance, PhantomPatient, PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import type { Programs } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, readDisc, type Answer, type Overrides, type Service } from '../world.ts'

/** What a client must get: a disc with exactly the images of the PACS, or an error of the table; which of two may depend on what comes first. */
export type Expected = 'disc' | { codes: readonly ErrorCode[], detail?: RegExp }

/** Limits so short that a fault shows soon, and long enough for a machine that is busy with other things. */
export const SHORT_LIMITS: Overrides = {
  pacs: { connect_timeout: '3s', find_timeout: '3s', idle_timeout: '8s', move_timeout: '14s', settle_timeout: '700ms', queue_timeout: '60s', max_moves: 32, max_associations: 64 },
  disc: { web_content: 'none' }
}

export const PATIENT: PhantomPatient = { patientId: 'FAULT.1', patientName: 'FAULT^PROVOKED', birthDate: '19700101', sex: 'O' }

/** Three small images in a series, or whatever the fault needs. */
export function faultStudy (accessionNumber: string, { images = 3, series = 1, size = 64 } = {}): PhantomStudy {
  const one = { kind: 'CR', count: images, rows: size, columns: size } as const
  return { accessionNumber, patient: PATIENT, studyDate: '20240501', studyDescription: 'Fault', series: Array.from({ length: series }, () => one) }
}

export function linkTo (accessionNumber: string): string {
  return `/api/iso/download?accession_number=${accessionNumber}`
}

/** @param instances all that the PACS holds for the request */
export async function rightAnswer (t: Test, programs: Programs, answer: Answer, expected: Expected, instances: readonly PhantomInstance[]): Promise<void> {
  if (expected === 'disc') {
    t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString())
    if (answer.status !== 200) return
    t.equal(answer.body.length, Number(answer.headers['content-length']), 'of the length that was announced')
    const disc = await readDisc(t, answer.body, programs)
    t.strictSame([...disc.instances.keys()].sort(), instances.map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'with every image and no other')
    return
  }
  const { codes, detail } = expected
  t.not(answer.status, 200, 'no disc')
  if (answer.status === 200) return
  const code = codes.find(one => one === answer.json()['code']) ?? codes[0] ?? 'INTERNAL'
  t.equal(answer.status, ERRORS[code].status)
  t.match(answer.json(), { code, request_id: answer.headers['x-request-id'], error: ERRORS[code].error, ...(detail === undefined ? {} : { detail }) })
  t.equal(answer.headers['content-disposition'], undefined, 'no file name on an error')
  t.notMatch(answer.body.toString(), /PROVOKED/, 'no patient name in an error')
}

/** No process, slot, folder, and no file that waits for somebody. What nobody asked for is removed after a while. */
export async function nothingRemains (t: Test, mkiso: Service): Promise<void> {
  t.strictSame(await nothingLeft(mkiso), [], 'no process, folder or slot is left')
  await eventually(() => received(mkiso).length === 0, 100)
  t.strictSame(received(mkiso), [], 'no file is left in the receive folder')
}

function received ({ app }: Service): string[] {
  return readdirSync(app.workDir).filter(name => name.startsWith('receive_')).flatMap(name => readdirSync(join(app.workDir, name)))
}

/** The count that a run of all tests adds up. */
export function tellFaults (t: Test, count: number): void {
  t.comment(`faults provoked: ${count}`)
}
