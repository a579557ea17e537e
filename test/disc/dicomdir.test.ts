/** Our DICOMDIR against dcmmkdir's: whatever it lists we list, with the same values. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { ctStudy, oddStudies } from '../../demo/phantoms/studies.ts'
import { recordTypeOf } from '../../src/dicom/directory-record-types.ts'
import { readObject } from '../../src/dicom/part10.ts'
import { buildDicomdir } from '../../src/disc/dicomdir/dicomdir.ts'
import { filesOf } from '../../src/disc/contents.ts'
import { layOut, linkFiles, type StudySources } from '../../src/disc/layout.ts'
import { asItCame } from '../../src/disc/uncompress.ts'
import { profileOf } from '../../src/disc/profile.ts'
import type { Programs } from '../../src/process.ts'
import { whatCame } from '../../src/studies/what-came.ts'
import { programsOf, temporaryFolder } from '../world.ts'

interface Made { root: string, notListed: string[], dicomdir: string }

/** Studies as they come, described by the files themselves, each of a patient of its own. */
async function studiesOf (instances: readonly PhantomInstance[]): Promise<StudySources[]> {
  const sources = await Promise.all(instances.map(async ({ path }) => asItCame({ path, object: await readObject(path) })))
  return [...new Set(sources.map(({ object }) => object.studyInstanceUid))].map((studyInstanceUid, index) => {
    const files = sources.filter(({ object }) => object.studyInstanceUid === studyInstanceUid)
    const patient = { patientId: `P${index}`, issuerOfPatientId: '', patientName: '', birthDate: '', sex: '' }
    const described = {
      studyInstanceUid, accessionNumber: 'X', studyDate: '', studyTime: '', studyDescription: '', studyId: '', patient, seriesCount: undefined, instanceCount: undefined,
      seriesListing: 'whole' as const, series: []
    }
    return { study: whatCame(described, files.map(({ object }) => object)), patient, files }
  })
}

async function make (t: Test, instances: readonly PhantomInstance[]): Promise<Made> {
  // links need one file system
  const folder = dirname(instances[0]?.path ?? '')
  const root = join(folder, 'root')
  mkdirSync(root)
  const contents = layOut(await studiesOf(instances))
  linkFiles(contents, root)
  const { bytes, notListed } = buildDicomdir(contents, 'TEST')
  const dicomdir = join(root, 'DICOMDIR')
  writeFileSync(dicomdir, bytes)
  t.strictSame(buildDicomdir(contents, 'TEST').bytes, bytes, 'the same disc has the same DICOMDIR')
  t.equal(notListed.length + (bytes.toString('latin1').match(/IM\d{6}/g)?.length ?? 0), filesOf(contents).length)
  return { root, dicomdir, notListed: notListed.map(({ reason }) => reason) }
}

/** Each lowest record, by the file that it references: attributes with their values as dcmdump prints them, those of the records above included. */
async function recordsOf (programs: Programs, dicomdir: string): Promise<Map<string, Map<string, string>>> {
  let dump = ''
  // a result keeps the end of a long output only
  await programs.run('dcmdump', ['+L', '+R', '8192', '-q', dicomdir], { onLine: line => { dump += `${line}\n` } })
  const records = new Map<string, Map<string, string>>()
  const above: Record<string, Map<string, string>> = {}
  for (const block of dump.split('"Directory Record"').slice(1)) {
    const values = new Map<string, string>()
    let sequence = ''
    for (const line of block.split('\n')) {
      const match = /^( *)\(([\da-f]{4},[\da-f]{4})\) (\w\w) (.*?) +# /.exec(line)
      if (match === null) continue
      const [, blanks = '', tag = '', vr = '', value = ''] = match
      // offsets differ between two writers; so may the words in brackets of a sequence
      if (/^(0004,14[0-2]|fffe)/.test(tag)) continue
      if (blanks.length === 4) sequence = vr === 'SQ' ? tag : ''
      values.set(blanks.length === 4 ? tag : `${sequence}/${tag}`, vr === 'SQ' ? 'SQ' : value)
    }
    const type = /\[(.*)\]/.exec(values.get('0004,1430') ?? '')?.[1] ?? ''
    if (['PATIENT', 'STUDY', 'SERIES'].includes(type)) above[type] = values
    else {
      const file = /\[(.*)\]/.exec(values.get('0004,1500') ?? '')?.[1] ?? ''
      const all = new Map(values)
      for (const [level, upper] of Object.entries(above)) for (const [tag, value] of upper) all.set(`${level} ${tag}`, value)
      records.set(file, all)
    }
  }
  return records
}

async function compare (t: Test, programs: Programs, { root, dicomdir }: Made, invented: RegExp): Promise<void> {
  const theirs = join(root, 'THEIRS')
  // the profile with the most keys of dcmmkdir's general ones
  const result = await programs.run('dcmmkdir', ['-Pfl', '+I', '-W', '-Nxc', '-Nec', '-Nrc', '+Nrs', '+F', 'TEST', '+r', '+id', root, '+D', theirs, '-nb', 'DICOM'])
  t.equal(result.exitCode, 0)
  const [ours, reference] = [await recordsOf(programs, dicomdir), await recordsOf(programs, theirs)]
  t.ok(reference.size > 0)
  let compared = 0
  for (const [file, values] of reference) {
    const own = ours.get(file)
    t.ok(own, `${basename(file)} is listed`)
    for (const [tag, value] of values) {
      if (invented.test(value)) continue
      // a character set that dcmmkdir leaves out where all is ASCII is right, too
      t.equal(own?.get(tag), value, `${file} ${tag}`)
      compared++
    }
  }
  t.ok(compared > 10 * reference.size, `${compared} values of ${reference.size} records are dcmmkdir's`)
}

/** What three readers say against it. */
async function faults (programs: Programs, dicomdir: string): Promise<string[]> {
  const results = await Promise.all([programs.run('dciodvfy', [dicomdir]), programs.run('dcdirdmp', [dicomdir]), programs.run('dcmdump', [dicomdir])])
  return results.flatMap(({ stdout, stderr }) => `${stderr}\n${stdout}`.split('\n').filter(line => /^(Error|E:|F:)/.test(line)))
}

t.test('every kind and every character set, record by record', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'dicomdir')
  const instances = (await Promise.all(oddStudies().map(async study => await writeStudy(study, folder, programs)))).flat()
  const made = await make(t, instances)
  t.strictSame(made.notListed, [])
  t.strictSame(await faults(programs, made.dicomdir), [])
  await compare(t, programs, made, /DCMTKPAT/)
})

t.test('implicit VR, big endian and deflated objects give the same records', async t => {
  const programs = programsOf(t)
  const studies = oddStudies().slice(0, 1)
  const explicit = await writeStudy(studies[0] ?? ctStudy('X', 1), temporaryFolder(t, 'explicit'), programs)
  const syntaxes = await Promise.all(explicit.map(async ({ path }) => (await readObject(path)).transferSyntaxUid))
  const uncompressed = explicit.filter((_, index) => syntaxes[index] === '1.2.840.10008.1.2.1')
  t.ok(uncompressed.length >= 9)
  for (const [option, syntax] of [['+ti', '1.2.840.10008.1.2'], ['+tb', '1.2.840.10008.1.2.2'], ['+td', '1.2.840.10008.1.2.1.99']] as const) {
    const folder = temporaryFolder(t, 'converted')
    const instances = await Promise.all(uncompressed.map(async instance => {
      const path = join(folder, instance.sopInstanceUid)
      const { exitCode } = await programs.run('dcmconv', [option, instance.path, path])
      t.equal(exitCode, 0)
      t.equal((await readObject(path)).transferSyntaxUid, syntax)
      return { ...instance, path }
    }))
    const made = await make(t, instances)
    t.strictSame(made.notListed, [], syntax)
    t.strictSame(await faults(programs, made.dicomdir), [], syntax)
    await compare(t, programs, made, /^$/)
  }
})

t.test('two thousand images, which take dcmmkdir seconds', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'many')
  const study = ctStudy('MANY', 2_000)
  const instances = await writeStudy({ ...study, series: study.series.map(series => ({ ...series, rows: 16, columns: 16 })) }, folder, programs)
  const made = await make(t, instances)
  t.strictSame(made.notListed, [])
  t.strictSame(await faults(programs, made.dicomdir), [])
  t.equal((await recordsOf(programs, made.dicomdir)).size, 2_000)
})

t.test('what cannot be listed is named', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'not-listed')
  const [report, other] = await writeStudy({ ...(oddStudies()[0] ?? ctStudy('X', 1)), series: [{ kind: 'SR', count: 1 }, { kind: 'ECG', count: 1 }] }, folder, programs)
  if (report === undefined || other === undefined) throw new Error('no phantoms')
  // a class of nobody, without pixels
  copyFileSync(report.path, join(folder, 'private'))
  t.equal((await programs.run('dcmodify', ['-nb', '-ma', '(0008,0016)=1.2.3.4', '-ma', `(0008,0018)=${report.sopInstanceUid}1`, join(folder, 'private')])).exitCode, 0)
  t.equal((await programs.run('dcmodify', ['-nb', '-ea', '(0040,a043)', report.path])).exitCode, 0)
  const made = await make(t, [report, other, { ...report, sopInstanceUid: `${report.sopInstanceUid}1`, path: join(folder, 'private') }])
  t.strictSame(made.notListed.sort(), ['required attribute (0040,a043) is missing', 'there is no directory record for SOP class 1.2.3.4'])
  t.strictSame(await faults(programs, made.dicomdir), [], 'what is left is sound')
})

t.test('record types and profiles', async t => {
  const storage = '1.2.840.10008.5.1.4.1.1.'
  for (const [sopClass, type] of [['2', 'IMAGE'], ['88.59', 'KEY OBJECT DOC'], ['88.33', 'SR DOCUMENT'], ['11.1', 'PRESENTATION'], ['66.1', 'REGISTRATION'], ['66.4', 'IMAGE'],
    ['9.1.1', 'WAVEFORM'], ['104.1', 'ENCAP DOC'], ['481.1', 'IMAGE'], ['481.2', 'RT DOSE'], ['481.8', 'RT PLAN'], ['66', 'RAW DATA'], ['4.2', 'SPECTROSCOPY'], ['77.1.5.3', 'STEREOMETRIC']] as const) {
    t.equal(recordTypeOf(storage + sopClass, true)?.name, type, sopClass)
  }
  t.equal(recordTypeOf('1.2.3', true)?.name, 'IMAGE', 'pixels of a private class')
  t.equal(recordTypeOf('1.2.3', false), undefined)
  const of = (...syntaxes: string[]): string | undefined => profileOf(syntaxes.map(transferSyntaxUid => ({ transferSyntaxUid })))
  t.equal(of('1.2.840.10008.1.2.1'), 'STD-GEN-CD')
  t.match(of('1.2.840.10008.1.2.1', '1.2.840.10008.1.2.4.70'), 'STD-GEN-DVD-JPEG')
  t.match(of('1.2.840.10008.1.2.4.90'), 'STD-GEN-DVD-J2K')
  t.equal(of('1.2.840.10008.1.2.5'), undefined)
})
