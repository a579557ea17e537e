/** The queue by itself, with a robot and an archive that do what a test says: what is sent, when, how often, and what is written down before. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Manifest } from '../../src/dicom/study.ts'
import { MkisoError } from '../../src/errors.ts'
import { Journal } from '../../src/print/journal.ts'
import type { PrintJob } from '../../src/print/job-under-way.ts'
import type { PrintRecord, PrintState } from '../../src/print/print-job.ts'
import { PrintQueue, type PrintQueueOptions, type PrintRequest } from '../../src/print/print-queue.ts'
import type { SendOutcome } from '../../src/print/relay.ts'
import { silentLog } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { Activities } from '../../src/work/activities.ts'
import { temporaryFolder } from '../world.ts'

const CALLER = { address: '10.0.0.1', credential: 'ward-7', user: undefined }
const MINUTE_MS = 60_000

/** Something that a test lets go on when it likes. */
interface Gate { wait: Promise<void>, open: () => void }

function gate (): Gate {
  let open = (): void => {}
  const wait = new Promise<void>(resolve => { open = resolve })
  return { wait, open }
}

function manifestOf (accessionNumbers: readonly string[], studyUid: (accessionNumber: string) => string): Manifest {
  return {
    studies: accessionNumbers.map(accessionNumber => ({
      studyInstanceUid: studyUid(accessionNumber), accessionNumber, patient: { patientId: 'P', issuerOfPatientId: '', patientName: 'DOE^JOHN', birthDate: '', sex: '' }, studyDate: '',
      studyTime: '', studyDescription: '', studyId: '', seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole' as const, series: []
    }))
  }
}

interface World {
  queue: PrintQueue
  /** Accession numbers in the order in which the robot got them. */
  sent: string[]
  released: string[]
  away: string | undefined
  /** Before the robot answers. */
  robotGate: Gate | undefined
  /** Before the images are here, by accession number. */
  fetchGates: Map<string, Gate>
  sendingNow: number
  mostAtOnce: number
  journalDir: string
  ask (accessionNumbers: string, more?: Partial<PrintRequest>): Promise<PrintJob>
  /** As a request that waits for the answer. */
  wait (accessionNumbers: string, signal?: AbortSignal, more?: Partial<PrintRequest>): Promise<unknown>
}

async function printWorld (t: Test, root: string, more: Partial<PrintQueueOptions> = {}, studyUid = (accessionNumber: string): string => `1.2.${accessionNumber}`): Promise<World> {
  const journal = await Journal.open(root, silentLog)
  const activities = new Activities()
  const folderOf = (): string => join(root, readdirSync(root).find(name => /^[0-9a-f]{8}$/.test(name)) ?? '')
  const queue = new PrintQueue({
    journal,
    activities,
    patientOf: async () => ({ name: undefined, differing: [], check: async () => {} }),
    nameIn: () => 'JOHN DOE',
    onTransfer: () => {},
    toMkisoError: error => error instanceof MkisoError ? error : new MkisoError('INTERNAL', error.message),
    logOf: () => silentLog,
    retryForMs: MINUTE_MS,
    askAgainWithinMs: MINUTE_MS,
    firstPauseMs: 5,
    fetch: async (accessionNumbers, { signal, check, watch }) => {
      const manifest = manifestOf(accessionNumbers, studyUid)
      await check(manifest)
      watch.onManifest(manifest)
      const held = here.fetchGates.get(accessionNumbers.join(','))
      if (held !== undefined) await Promise.race([held.wait, new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }) })])
      return { manifest, files: [{ path: accessionNumbers.join(',') }, { path: 'second' }], release: () => { here.released.push(accessionNumbers.join(',')) } }
    },
    robot: {
      address: 'robot:104',
      away: async () => here.away,
      send: async (files, { onSent, signal }) => {
        const [first] = files
        const record = readdirSync(folderOf()).filter(name => name.endsWith('.json')).map(name => JSON.parse(readFileSync(join(folderOf(), name), 'utf8')) as { state: string, accessionNumbers: string[] })
          .find(({ state, accessionNumbers }) => state === 'sending' && accessionNumbers.join(',') === first?.path)
        if (record === undefined) throw new Error('the first image leaves, and the journal does not say so')
        here.sendingNow++
        here.mostAtOnce = Math.max(here.mostAtOnce, here.sendingNow)
        here.sent.push(first?.path ?? '')
        onSent(1)
        try {
          await Promise.race([here.robotGate?.wait ?? delay(1), new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }) })])
        } finally { here.sendingNow-- }
        onSent(files.length)
        return { kind: 'sent', files: files.length }
      }
    },
    ...more
  })
  const requestOf = (accessionNumbers: string, details: Partial<PrintRequest>): PrintRequest =>
    ({ accessionNumbers: accessionNumbers.split(','), caller: CALLER, requestId: 'r', again: false, detached: true, idempotencyKey: undefined, ...details })
  const here: World = {
    queue, sent: [], released: [], away: undefined, robotGate: undefined, fetchGates: new Map(), sendingNow: 0, mostAtOnce: 0, journalDir: folderOf(),
    ask: async (accessionNumbers, details = {}) => await queue.ask(requestOf(accessionNumbers, details)),
    wait: async (accessionNumbers, signal, details = {}) => {
      const request = requestOf(accessionNumbers, { detached: false, ...details })
      const activity = activities.begin({ requestId: 'r', kind: 'print', accessionNumbers: request.accessionNumbers, caller: CALLER, ...(signal === undefined ? {} : { signal }) })
      return await queue.wait(await queue.ask(request), activity)
    }
  }
  await queue.start()
  t.teardown(async () => {
    await queue.end()
    await journal.close()
  })
  return here
}

/** As a power cut leaves it: nobody closes anything. @returns the root with a copy of the journal, whose owner does not live */
function afterKill (t: Test, here: World): string {
  const root = temporaryFolder(t, 'after-kill')
  const folder = join(root, 'deadbeef')
  mkdirSync(folder)
  for (const name of readdirSync(here.journalDir)) if (name !== 'alive') writeFileSync(join(folder, name), readFileSync(join(here.journalDir, name)))
  return root
}

const fails = async (t: Test, promise: Promise<unknown>, code: string): Promise<void> => { await t.rejects(promise, { code }) }

t.test('one at a time, in the order in which they are ready; it is written down before the first image leaves', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  const slow = gate()
  here.fetchGates.set('A', slow)
  const jobs = await Promise.all(['A', 'B', 'C'].map(async accessionNumber => await here.ask(accessionNumber)))
  t.ok(await eventually(() => here.sent.length === 2), 'one that is slow to come does not hold up the others')
  slow.open()
  await Promise.all(jobs.map(async ({ done }) => await done))
  // which of two is written down first, the disk decides
  t.strictSame([...here.sent.slice(0, 2).sort(), ...here.sent.slice(2)], ['B', 'C', 'A'])
  t.equal(here.mostAtOnce, 1)
  t.strictSame([...here.released].sort(), ['A', 'B', 'C'])
  t.strictSame(jobs.map(({ record: { state, sentImages, patientName } }) => [state, sentImages, patientName]), Array.from({ length: 3 }, () => ['sent', 2, 'JOHN DOE']))
})

t.test('the HIS is asked whose studies these are before they are fetched; what differs stands with the print', async t => {
  const stranger = await printWorld(t, temporaryFolder(t), {
    patientOf: async () => ({ name: undefined, differing: [], check: async () => { throw new MkisoError('PATIENT_MISMATCH') } })
  })
  await fails(t, stranger.wait('A'), 'PATIENT_MISMATCH')
  t.strictSame([stranger.sent, stranger.released], [[], []])
  let differing: string[] = []
  const married = await printWorld(t, temporaryFolder(t), {
    patientOf: async () => ({ name: 'JANE ROE', get differing () { return differing }, check: async () => { differing = ['patient_name'] } })
  })
  t.match(await married.wait('A'), { state: 'sent', patientName: 'JANE ROE', differing: ['patient_name'] })
})

t.test('who asks for what is under way joins it, whatever the order of the numbers', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  here.robotGate = gate()
  const [one, two, three] = await Promise.all([here.ask('A,B'), here.ask('B,A'), here.ask('A,B', { again: true })])
  t.equal(one, two)
  t.equal(one, three, 'a second click on "again" too')
  here.robotGate.open()
  await one.done
  t.strictSame(here.sent, ['A,B'])
})

t.test('the same again only on purpose', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  await (await here.ask('A')).done
  await fails(t, here.ask('A'), 'PRINTED_ALREADY')
  await fails(t, here.wait('A'), 'PRINTED_ALREADY')
  await (await here.ask('A', { again: true })).done
  t.strictSame(here.sent, ['A', 'A'])
  await (await here.ask('A,B')).done
  t.equal(here.sent.length, 3, 'another set of studies is another disc')
  await t.test('under other accession numbers', async t => {
    const here = await printWorld(t, temporaryFolder(t), {}, () => '1.2.3')
    await (await here.ask('A')).done
    await fails(t, (await here.ask('B')).done, 'PRINTED_ALREADY')
    t.strictSame(here.sent, ['A'])
  })
  await t.test('0 switches it off', async t => {
    const here = await printWorld(t, temporaryFolder(t), { askAgainWithinMs: 0 })
    for (let n = 0; n < 2; n++) await (await here.ask('A')).done
    t.strictSame(here.sent, ['A', 'A'])
  })
  await t.test('after a while it is not asked', async t => {
    const here = await printWorld(t, temporaryFolder(t), { askAgainWithinMs: 30 })
    await (await here.ask('A')).done
    t.ok(await eventually(async () => await here.ask('A').then(async job => (await job.done).state === 'sent', () => false)))
  })
})

t.test('an Idempotency-Key is one print, over a restart too', async t => {
  const root = temporaryFolder(t)
  const here = await printWorld(t, root)
  const one = await here.ask('A', { idempotencyKey: 'k' })
  await one.done
  t.equal(await here.ask('A', { idempotencyKey: 'k' }), one)
  t.match(await here.wait('A', undefined, { idempotencyKey: 'k' }), { sentImages: 2 })
  await fails(t, here.ask('B', { idempotencyKey: 'k' }), 'IDEMPOTENCY_KEY_REUSED')
  const next = await printWorld(t, afterKill(t, here))
  const found = await next.ask('A', { idempotencyKey: 'k' })
  t.equal(found.id, one.id)
  t.match(await found.done, { state: 'sent' })
  t.strictSame(next.sent, [])
})

t.test('who leaves before the first image ends it, unless somebody else waits; not after it', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  here.fetchGates.set('A', gate())
  const [leaving, staying] = [new AbortController(), new AbortController()]
  const first = here.wait('A', leaving.signal).catch((error: Error) => error.message)
  const second = here.wait('A', staying.signal).catch((error: Error) => error.message)
  t.ok(await eventually(() => here.queue.jobs[0]?.followers === 2))
  leaving.abort(new Error('gone'))
  t.equal(await first, 'gone')
  t.equal(here.queue.jobs[0]?.record.state, 'fetching')
  staying.abort(new Error('gone'))
  await second
  t.ok(await eventually(() => here.queue.jobs[0]?.record.state === 'cancelled'))
  t.strictSame(here.sent, [])

  here.robotGate = gate()
  const late = new AbortController()
  const third = here.wait('B', late.signal).catch((error: Error) => error.message)
  t.ok(await eventually(() => here.sent.length === 1))
  late.abort(new Error('gone'))
  await third
  t.notOk(here.queue.cancel(here.queue.jobs[0] as PrintJob, 'operator'), 'half a disc helps nobody')
  here.robotGate.open()
  t.ok(await eventually(() => here.queue.jobs[0]?.record.state === 'sent'))
})

t.test('one that goes on by itself is cancelled by its id only', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  here.fetchGates.set('A', gate())
  const job = await here.ask('A')
  t.ok(here.queue.cancel(job, 'operator'))
  await fails(t, job.done, 'CANCELLED')
  t.match(job.record, { state: 'cancelled', cancelledBy: 'operator' })
  t.notOk(here.queue.cancel(job, 'operator'))
  t.strictSame(here.sent, [])
})

t.test('a robot that is off is tried again, as long as nothing was sent', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  here.away = 'ROBOT: connection refused'
  const jobs = [await here.ask('A'), await here.ask('B')]
  t.ok(await eventually(() => jobs.every(({ waitsFor }) => waitsFor === 'robot')), 'both say what they wait for')
  await fails(t, here.wait('C'), 'CD_PUBLISHER_UNREACHABLE')
  here.away = undefined
  await Promise.all(jobs.map(async ({ done }) => await done))
  t.strictSame([...here.sent].sort(), ['A', 'B'])
  await t.test('and given up in the end', async t => {
    const here = await printWorld(t, temporaryFolder(t), { retryForMs: 20 })
    here.away = 'ROBOT: connection refused'
    await fails(t, (await here.ask('A')).done, 'CD_PUBLISHER_UNREACHABLE')
  })
})

t.test('a robot that took a part gets no second one by itself', async t => {
  let sends = 0
  const here = await printWorld(t, temporaryFolder(t), {
    robot: { address: 'robot:104', away: async () => undefined, send: async () => { sends++; throw new MkisoError('CD_PUBLISHER_REFUSED', '1 of 2 images were taken') } }
  })
  const job = await here.ask('A')
  await fails(t, job.done, 'CD_PUBLISHER_REFUSED')
  t.equal(job.record.state, 'failed')
  t.equal(sends, 1)
})

t.test('after kill -9: what had not begun goes on, what had is unknown and never sent again by itself', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  here.robotGate = gate()
  here.fetchGates.set('B', gate())
  const [sending, fetching] = [await here.ask('A'), await here.ask('B')]
  const attended = here.wait('C').catch(() => {})
  await here.queue.find(['C'])[0]?.written
  t.ok(await eventually(() => here.sent.length === 1 && fetching.record.state === 'fetching'))
  const next = await printWorld(t, afterKill(t, here))
  const unknown = next.queue.get(sending.id)
  t.match(unknown?.record, { state: 'unknown', sentImages: 1, images: 2, fault: { code: 'PRINT_UNKNOWN', detail: /look at the robot \(robot:104\): job .* 1 of 2 images/ } })
  t.strictSame(next.queue.unresolved, [unknown])
  // written down, too
  t.strictSame(await Promise.all(next.queue.jobs.filter(job => job !== unknown).map(async ({ done }) => (await done).state)), ['sent', 'sent'])
  t.strictSame([...next.sent].sort(), ['B', 'C'], 'also one whose client has lost its answer')
  await fails(t, next.ask('A'), 'PRINTED_ALREADY')

  await t.test('and it stays so over a second restart', async t => {
    const third = await printWorld(t, afterKill(t, next))
    t.strictSame(third.queue.unresolved.map(({ id }) => id), [sending.id])
    t.strictSame(third.sent, [])
    t.ok(await third.queue.acknowledge(third.queue.unresolved[0] as PrintJob, CALLER))
    t.strictSame(third.queue.unresolved, [])
    const fourth = await printWorld(t, afterKill(t, third))
    t.strictSame(fourth.queue.unresolved, [])
  })
  await t.test('until somebody prints again on purpose', async t => {
    await (await next.ask('A', { again: true })).done
    t.strictSame(next.queue.unresolved, [])
    t.match(unknown?.record.acknowledged, { by: CALLER })
  })
  here.robotGate.open()
  await attended
})

t.test('the end of the service: who waits is told, the rest goes on with the next one, and what is cut off is unknown', async t => {
  const here = await printWorld(t, temporaryFolder(t))
  here.robotGate = gate()
  const sending = await here.ask('A')
  t.ok(await eventually(() => here.sent.length === 1))
  const [next] = [await here.ask('B')]
  const waiting = here.wait('C')
  waiting.catch(() => {})
  t.ok(await eventually(() => here.queue.jobs.length === 3))
  await Promise.all(here.queue.jobs.map(async ({ written }) => { await written }))
  here.queue.close()
  await fails(t, waiting, 'SHUTTING_DOWN')
  await fails(t, here.ask('D'), 'SHUTTING_DOWN')
  await here.queue.end()
  t.equal(sending.record.state, 'unknown')
  const after = await printWorld(t, afterKill(t, here))
  t.strictSame((await after.queue.get(next.id)?.done)?.state, 'sent')
  t.strictSame(after.sent, ['B'], 'nothing of which somebody was told that it failed')
  t.strictSame(after.queue.unresolved.map(({ id }) => id), [sending.id])
})

t.test('a robot that was there and takes no association after all has no image: it is tried again, or who waits is told', async t => {
  const answers: SendOutcome[] = [{ kind: 'away', reason: 'ROBOT: association rejected' }, { kind: 'sent', files: 2 }]
  const sends: string[][] = []
  const root = temporaryFolder(t)
  const states = (): string[] => readdirSync(here.journalDir).filter(name => name.endsWith('.json'))
    .map(name => (JSON.parse(readFileSync(join(here.journalDir, name), 'utf8')) as { state: string }).state)
  const here: World = await printWorld(t, root, {
    robot: {
      address: 'robot:104',
      away: async () => undefined,
      send: async () => {
        sends.push(states())
        return answers.shift() ?? { kind: 'away', reason: 'ROBOT: association rejected' }
      }
    }
  })
  const job = await here.ask('A')
  t.match(await job.done, { state: 'sent', sentImages: 2 })
  t.strictSame(sends, [['sending'], ['sending']], 'written down each time')
  await fails(t, here.wait('B'), 'CD_PUBLISHER_UNREACHABLE')
  t.match(here.queue.find(['B'])[0]?.record, { state: 'failed', sentImages: 0 }, 'nobody has to look at the robot')
  t.strictSame(here.queue.unresolved, [])
  t.strictSame(states().sort(), ['failed', 'sent'])
})

t.test('the end of a print that cannot be written down: who waits hears it, and after a restart it is unknown and not sent again', async t => {
  const root = temporaryFolder(t)
  const journal = await Journal.open(root, silentLog)
  const errors: string[] = []
  const here = await printWorld(t, temporaryFolder(t), {
    robot: { address: 'robot:104', away: async () => undefined, send: async (files, { onSent }) => { onSent(files.length); return { kind: 'sent', files: files.length } } },
    journal: {
      found: [],
      write: async record => {
        if (record.state === 'sent') throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
        await journal.write(record)
      },
      count: id => journal.count(id),
      forget: async id => { await journal.forget(id) }
    },
    logOf: () => ({ ...silentLog, error: (_fields, message) => { errors.push(message) } })
  })
  const job = await here.ask('A')
  t.match(await job.done, { state: 'sent' }, 'the robot has it')
  t.match(errors, [/cannot be written down; after a restart it will be unknown/])
  await journal.close()
  const next = await printWorld(t, root)
  t.match(next.queue.unresolved.map(({ record }) => record), [{ id: job.id, state: 'unknown', sentImages: 2, images: 2 }])
  t.strictSame(next.sent, [])
})

t.test('how many images the robot has confirmed cannot be written down: the print goes on, and the log says it once', async t => {
  const root = temporaryFolder(t)
  const journal = await Journal.open(root, silentLog)
  const [folder = ''] = readdirSync(root)
  const warnings: string[] = []
  const here = await printWorld(t, temporaryFolder(t), {
    robot: {
      address: 'robot:104',
      away: async () => undefined,
      send: async (files, { onSent }) => {
        for (const sent of files.keys()) onSent(sent + 1)
        return { kind: 'sent', files: files.length }
      }
    },
    journal: {
      found: [],
      write: async record => {
        await journal.write(record)
        // a disk that fills after the first image is on its way
        if (record.state === 'sending') symlinkSync('/dev/full', join(root, folder, `${record.id}.sent`))
      },
      count: id => journal.count(id),
      forget: async id => { await journal.forget(id) }
    },
    logOf: () => ({ ...silentLog, warn: (_fields, message) => { warnings.push(message) } })
  })
  t.match(await (await here.ask('A')).done, { state: 'sent', sentImages: 2 })
  t.strictSame(warnings, ['how many images the CD publisher has taken cannot be written down; after kill -9 the number told may be too low'])
  await journal.close()
})

t.test('what has ended is forgotten after a week, and after the time in which the same is asked about; not what nobody knows', async t => {
  const DAY_MS = 24 * 3_600_000
  const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString()
  const record = { ...(await (await printWorld(t, temporaryFolder(t))).ask('A')).record }
  const of = (id: string, state: PrintState, days: number): PrintRecord =>
    ({ ...record, id, state, createdAt: daysAgo(days), times: { queued: daysAgo(days), [state]: daysAgo(days) } })
  const found = [of('old', 'sent', 8), of('failed', 'failed', 8), of('new', 'sent', 6), of('unknown', 'unknown', 80), of('kept', 'sent', 8)]
  const remembered = async (askAgainWithinMs: number): Promise<{ ids: string[], forgotten: string[], warnings: string[] }> => {
    const forgotten: string[] = []
    const warnings: string[] = []
    const { queue } = await printWorld(t, temporaryFolder(t), {
      askAgainWithinMs,
      journal: {
        found,
        write: async () => {},
        count: () => ({ set: () => {}, close: () => {} }),
        forget: async id => {
          if (id === 'failed') throw Object.assign(new Error('read-only file system'), { code: 'EROFS' })
          forgotten.push(id)
        }
      },
      logOf: () => ({ ...silentLog, warn: (_fields, message) => { warnings.push(message) } })
    })
    return { ids: queue.jobs.map(({ id }) => id).sort(), forgotten, warnings }
  }
  t.strictSame(await remembered(MINUTE_MS), { ids: ['new', 'unknown'], forgotten: ['old', 'kept'], warnings: ['an old print cannot be removed from the journal'] })
  t.strictSame(await remembered(10 * DAY_MS), { ids: found.map(({ id }) => id).sort(), forgotten: [], warnings: [] })
})

t.test('what cannot be written down is not sent', async t => {
  let writes = 0
  const here = await printWorld(t, temporaryFolder(t), {
    journal: {
      found: [],
      write: async ({ state }) => { writes++; if (state === 'sending') throw Object.assign(new Error('no space left'), { code: 'ENOSPC' }) },
      count: () => ({ set: () => {}, close: () => {} }),
      forget: async () => {}
    }
  })
  await fails(t, (await here.ask('A')).done, 'INTERNAL')
  t.strictSame(here.sent, [])
  t.ok(writes > 1)
  await t.test('not even that it was asked for: whoever asks is told', async t => {
    const full = await printWorld(t, temporaryFolder(t), {
      journal: {
        found: [],
        write: async () => { throw Object.assign(new Error('no space left'), { code: 'ENOSPC' }) },
        count: () => ({ set: () => {}, close: () => {} }),
        forget: async () => {}
      }
    })
    await t.rejects(full.ask('A'), { code: 'ENOSPC' })
    t.ok(await eventually(() => full.queue.jobs[0]?.record.state === 'failed'))
    t.strictSame([full.sent, full.released], [[], []])
  })
})

t.test('journal', async t => {
  t.test('two services beside each other leave each other alone; a third takes over what a dead one has left', async t => {
    const root = temporaryFolder(t)
    const [one, two] = [await Journal.open(root, silentLog), await Journal.open(root, silentLog)]
    const record = (await printWorld(t, temporaryFolder(t)).then(async here => await here.ask('A'))).record
    await one.write(record)
    await two.write({ ...record, id: record.id.replace(/^./, 'f') })
    t.strictSame((await Journal.open(root, silentLog)).found, [])
    await one.close()
    const third = await Journal.open(root, silentLog)
    t.strictSame(third.found.map(({ id }) => id), [record.id])
    t.strictSame((await Journal.open(root, silentLog)).found, [], 'once')
    for (const journal of [two, third]) await journal.close()
  })
  t.test('a path longer than a socket may have; a file that cannot be read; one that was not yet whole', async t => {
    const root = join(temporaryFolder(t), 'x'.repeat(120))
    const dead = join(root, '0badcafe')
    mkdirSync(dead, { recursive: true })
    const id = '3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c11'
    writeFileSync(join(dead, `${id}.json`), '{"id":')
    writeFileSync(join(dead, `${id}.json.123`), '{}')
    const errors: string[] = []
    const journal = await Journal.open(root, { ...silentLog, error: (_fields, message) => { errors.push(message) } })
    t.strictSame(journal.found, [])
    t.match(errors, [/look at the robot/])
    t.notOk(existsSync(dead))
    const [folder = ''] = readdirSync(root)
    t.strictSame(readdirSync(join(root, folder)).sort(), [`${id}.json.unreadable`, 'alive'])
    await journal.close()
  })
  t.test('a folder that cannot be taken over stays as it is, and is told; one that was never finished goes when it is old, the new one of another stays', async t => {
    const root = temporaryFolder(t)
    // the socket of a living service would lie there: a file is none, and nobody knows what it is
    writeFileSync(join(root, '0badcafe'), 'no folder')
    const [old, fresh] = [join(root, '.new-00000001'), join(root, '.new-00000002')]
    for (const path of [old, fresh]) mkdirSync(path)
    const long = new Date(Date.now() - 2 * 3_600_000)
    utimesSync(old, long, long)
    const errors: string[] = []
    const journal = await Journal.open(root, { ...silentLog, error: (_fields, message) => { errors.push(message) } })
    t.strictSame([existsSync(old), existsSync(fresh)], [false, true])
    t.strictSame(journal.found, [])
    t.strictSame(errors, ['the prints of a service that ended cannot be taken over'])
    t.equal(readFileSync(join(root, '0badcafe'), 'utf8'), 'no folder')
    await journal.close()
  })
})
