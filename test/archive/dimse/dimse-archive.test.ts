/** A PACS as an archive, by each way: C-MOVE to the shared receiver, to one of the request's own, and C-GET. As stored means as stored. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uidOf } from '../../../demo/phantoms/writer.ts'
import { demoStudies, oddStudies } from '../../../demo/phantoms/studies.ts'
import type { PhantomInstance, PhantomStudy } from '../../../demo/phantoms/catalogue.ts'
import { freePort, freePortRange } from '../../../demo/ports.ts'
import type { Archive, FetchOutcome } from '../../../src/archive/archive.ts'
import { createDimseArchive } from '../../../src/archive/dimse/dimse-archive.ts'
import { createGetTransport } from '../../../src/archive/dimse/get-transport.ts'
import { pacsOf } from '../../../src/archive/dimse/pacs.ts'
import { createPerRequestScp } from '../../../src/archive/dimse/per-request-scp.ts'
import { PortPool } from '../../../src/archive/dimse/port-pool.ts'
import { SharedScp } from '../../../src/archive/dimse/shared-scp.ts'
import type { TransportOptions } from '../../../src/archive/dimse/transport.ts'
import { parseConfig } from '../../../src/config/load.ts'
import type { Study } from '../../../src/dicom/study.ts'
import { readObject } from '../../../src/dicom/part10.ts'
import { listensOn, silentLog } from '../../../src/process.ts'
import { eventually } from '../../eventually.ts'
import { programsOf, temporaryFolder, world, type World } from '../../world.ts'
import { KeepingSink } from './receiving.ts'

/** One series in five syntaxes, and more than 64 images of the second of them. */
const MIXED: PhantomStudy = {
  accessionNumber: 'MIX.1', patient: { patientId: 'MIX', patientName: 'MIX^ED', birthDate: '19700101', sex: 'O' }, studyDate: '20240601', studyDescription: 'Mixed',
  series: [{ kind: 'CT', count: 90, rows: 32, columns: 32 }]
}
/** As its lists name it: a C-GET is told the modality, and so what to propose. */
const MIXED_STUDY: Study = {
  studyInstanceUid: uidOf('MIX.1/'), accessionNumber: MIXED.accessionNumber, patient: { ...MIXED.patient, issuerOfPatientId: '' }, studyDate: '', studyTime: '', studyDescription: '', studyId: '',
  seriesCount: 1, instanceCount: 90, seriesListing: 'whole',
  series: [{ seriesInstanceUid: uidOf('MIX.1//0'), modality: 'CT', seriesNumber: 1, seriesDescription: '', instanceCount: 90, listing: 'none', instances: [] }]
}
const COMPRESSORS: Array<[until: number, program: string, args: string[]]> = [
  [70, 'dcmcjpls', []], [75, 'dcmcrle', []], [80, 'dcmcjpeg', ['+e1']], [84, 'gdcmconv', ['--j2k']], [87, 'dcmcjpeg', ['+el']]
]

async function mixed (here: World): Promise<void> {
  const images = here.of('MIX.1')
  for (const [index, { path }] of images.entries()) {
    const compressor = COMPRESSORS.find(([end]) => index < end)
    if (compressor === undefined) continue
    const [, program, args] = compressor
    const target = join(here.folder, `compressed_${index}`)
    const result = await here.programs.run(program, [...args, path, target])
    if (result.exitCode !== 0) throw new Error(`${program}: ${result.stderr}`)
    await here.programs.run('mv', [target, path])
  }
  await here.pacs.store(images.map(({ path }) => path))
}

async function ways (t: Test, here: World, per: { port: number }): Promise<Record<string, Archive>> {
  const programs = programsOf(t)
  const options = (settings: object): TransportOptions => {
    const config = parseConfig(JSON.stringify({
      pacs: { ae_title: here.pacs.aeTitle, host: here.pacs.host, port: here.pacs.port, connect_timeout: '5s' }, iso: { temp_dir: '/tmp' }, ...settings
    }), 'test', { env: {} })
    return {
      programs, dcmtk: config.dcmtk, log: silentLog, config, pacs: pacsOf(config.archives[0]), receiverTls: undefined, pool: new PortPool(2), workDir: temporaryFolder(t, 'work')
    }
  }
  const of = (transport: Parameters<typeof createDimseArchive>[0]['transport'], { pacs }: TransportOptions): Archive => createDimseArchive({
    pacs,
    find: { findStudies: async () => [MIXED_STUDY], search: async () => ({ studies: [], cut: false }), listInstances: async (study: Study) => study },
    transport,
    inTurn: async (ask, { onStart }) => {
      onStart?.()
      return await ask()
    }
  })
  const shared = options({ our_ae: { ae_title: 'CDRECORD', base_port: here.receiverPort } })
  const sharedScp = new SharedScp({ ...shared, senders: [shared.pacs] })
  await sharedScp.start()
  t.teardown(async () => { await sharedScp.stop() })
  await eventually(() => sharedScp.fault === undefined)
  const perRequest = options({ our_ae: { ae_title: 'CDREC{n}', base_port: per.port, port_range: 2 } })
  const get = options({ pacs: { ae_title: here.pacs.aeTitle, host: here.pacs.host, port: here.pacs.port, retrieve: 'get' } })
  return { 'C-MOVE, shared': of(sharedScp.transportFrom(shared.pacs), shared), 'C-MOVE, per request': of(createPerRequestScp(perRequest), perRequest), 'C-GET': of(createGetTransport(get), get) }
}

/** The value of (7FE0,0010) and what follows it, where there are pixels. */
function tailOf (bytes: Buffer): string {
  const at = bytes.indexOf(Buffer.from([0xE0, 0x7F, 0x10, 0x00]))
  return at === -1 ? '' : bytes.toString('latin1', at + 12)
}

/** Transfer Syntax UID by path. */
async function syntaxesOf (instances: readonly PhantomInstance[]): Promise<Map<string, string>> {
  return new Map(await Promise.all(instances.map(async ({ path }): Promise<[string, string]> => [path, (await readObject(path)).transferSyntaxUid])))
}

async function fetchAll (archive: Archive, instances: readonly PhantomInstance[], sink: KeepingSink): Promise<FetchOutcome[]> {
  await archive.findStudies([MIXED.accessionNumber], { signal: AbortSignal.timeout(60_000), log: silentLog })
  const session = await archive.open({ signal: AbortSignal.timeout(60_000), log: silentLog })
  const studyInstanceUid = instances[0]?.studyInstanceUid ?? ''
  const end = session.receive(studyInstanceUid, sink)
  try {
    return await Promise.all([...new Set(instances.map(instance => instance.seriesInstanceUid))].map(async seriesInstanceUid =>
      await session.fetch({ studyInstanceUid, seriesInstanceUid }, { signal: AbortSignal.timeout(60_000), log: silentLog })))
  } finally {
    end()
    await session.close()
  }
}

for (const kind of ['dcmqrscp', 'orthanc'] as const) {
  t.test(kind, async t => {
    const ports = await freePortRange(2)
    const studies = [...oddStudies().slice(0, 1), ...demoStudies().slice(0, 1)]
    const here = await world(t, kind, { studies, destinations: [0, 1].map(n => ({ aeTitle: `CDREC${n}`, host: '127.0.0.1', port: ports + n })) })
    const folder = join(here.folder, 'mixed')
    mkdirSync(folder)
    const { writeStudy } = await import('../../../demo/phantoms/catalogue.ts')
    const mixedInstances = await writeStudy(MIXED, folder, here.programs)
    await mixed({ ...here, of: () => mixedInstances })
    for (const [name, archive] of Object.entries(await ways(t, here, { port: ports }))) {
      t.test(name, async t => {
        // dcmqrscp takes and offers one compressed syntax at a time, by an option, and does not convert (measured)
        const plain = studies.slice(1).map(({ accessionNumber }) => here.of(accessionNumber))
        for (const instances of kind === 'dcmqrscp' ? plain : [...plain, here.of(studies[0]?.accessionNumber ?? ''), mixedInstances]) {
          const sink = new KeepingSink(temporaryFolder(t))
          const outcomes = await fetchAll(archive, instances, sink)
          t.strictSame(outcomes.filter(({ end }) => end !== 'success').map(({ end, reason }) => `${end} ${reason}`), [], 'each series ends well')
          t.equal(outcomes.reduce((sum, { total }) => sum + (total ?? 0), 0), instances.length, 'and is counted')
          const came = new Map(sink.kept.map(one => [one.object.sopInstanceUid, one]))
          t.strictSame(instances.filter(({ sopInstanceUid }) => !came.has(sopInstanceUid)).map(({ path }) => path), [], 'every instance is here')
          t.equal(sink.kept.length, instances.length, 'once')
          const stored = await syntaxesOf(instances)
          const differing = instances.filter(({ sopInstanceUid, path }) => {
            const one = came.get(sopInstanceUid)
            return one === undefined || one.object.transferSyntaxUid !== stored.get(path) || tailOf(one.bytes) !== tailOf(readFileSync(path))
          })
          t.strictSame(differing.map(({ path, sopInstanceUid }) => [path, stored.get(path), came.get(sopInstanceUid)?.object.transferSyntaxUid]), [], 'as it is stored')
          t.strictSame(new Set(sink.kept.map(({ provenance }) => provenance)), new Set(['ours']))
        }
      })
    }

    if (kind === 'orthanc') return
    t.test('C-GET of one compressed syntax that dcmqrscp offers', async t => {
      for (const [option, syntax] of [['+xs', '70'], ['+xt', '80'], ['+xv', '90']] as const) {
        const port = await freePort()
        const child = here.programs.start('dcmqrscp', ['--check-find', '--check-move', option, '-c', join(here.folder, 'pacs', 'dcmqrscp.cfg'), String(port)])
        t.ok(await eventually(() => listensOn(child.pid, port)))
        const get = (await ways(t, { ...here, pacs: { ...here.pacs, port }, receiverPort: await freePort() }, { port: ports }))['C-GET']
        const all = [...here.of(studies[0]?.accessionNumber ?? ''), ...mixedInstances]
        const stored = await syntaxesOf(all)
        const wanted = all.filter(({ path }) => stored.get(path) === `1.2.840.10008.1.2.4.${syntax}`)
        for (const instances of [wanted.filter(({ accessionNumber }) => accessionNumber === 'MIX.1'), wanted.filter(({ accessionNumber }) => accessionNumber !== 'MIX.1')]) {
          const sink = new KeepingSink(temporaryFolder(t))
          const outcomes = get === undefined || instances.length === 0 ? [] : await fetchAll(get, instances, sink)
          const came = new Set(sink.kept.map(({ object }) => object.sopInstanceUid))
          t.strictSame(instances.filter(({ sopInstanceUid }) => !came.has(sopInstanceUid)).map(({ path }) => path), [], `every image that is stored in ${syntax}: ${JSON.stringify(outcomes.map(({ end, reason }) => [end, reason]))}`)
        }
        await child.stop()
      }
    })
  })
}
