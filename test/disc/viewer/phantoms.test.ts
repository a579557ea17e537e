/**
 * Every kind of phantom in every transfer syntax: what stands on the screen against the values that another decoder reads (DCMTK, GDCM; of HTJ2K
 * those that were encoded) and the window of the standard. What has no picture says so.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import dcmjsCodecs from 'dcmjs-codecs'
import t from 'tap'
import { writeStudy, type PhantomKind } from '../../../demo/phantoms/catalogue.ts'
import { demoStudies } from '../../../demo/phantoms/studies.ts'
import { readObject } from '../../../src/dicom/part10.ts'
import { eventually } from '../../eventually.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { startEngine } from './engines.ts'
import type { Colour, TestImage } from './images.ts'
import { STATE, WITHOUT_TEXT, worst, type State } from './seen.ts'
import { viewerDisc } from './viewer-disc.ts'

const programs = programsOf(t)
const folder = temporaryFolder(t)

/** Modality values to greys; undefined: from the least to the largest value, where the image says no window. */
const KINDS: ReadonlyArray<{ kind: PhantomKind, grey?: { centre: number, width: number } }> = [
  { kind: 'CT', grey: { centre: 40, width: 400 } }, { kind: 'MR', grey: { centre: 900, width: 1_600 } }, { kind: 'CR', grey: { centre: 900, width: 1_600 } }, { kind: 'RTDOSE' }, { kind: 'XA-multiframe' }, { kind: 'US-colour' }
]

interface Way {
  name: string
  /** Program that encodes, or what dcmjs-codecs encodes as. */
  by: [string, ...string[]] | { syntax: string }
  /** Program that decodes for the expectation; none: the values are those of the phantom. */
  back?: [string, ...string[]]
  /** Kinds that the encoding knows. */
  only?: (kind: PhantomKind) => boolean
  noPicture?: RegExp
}

const eightBits = (kind: PhantomKind): boolean => kind === 'XA-multiframe' || kind === 'US-colour'
const grey = (kind: PhantomKind): boolean => kind !== 'US-colour'
const WAYS: readonly Way[] = [
  { name: 'explicit', by: ['dcmconv', '+te'] }, { name: 'implicit', by: ['dcmconv', '+ti'] }, { name: 'big endian', by: ['dcmconv', '+tb'] },
  { name: 'deflated', by: ['dcmconv', '+td'], noPicture: /cannot be shown here/ },
  { name: 'RLE', by: ['dcmcrle'], back: ['dcmdrle'] },
  { name: 'JPEG baseline', by: ['dcmcjpeg', '+eb', '+q', '95'], back: ['dcmdjpeg'], only: eightBits },
  { name: 'JPEG extended, 12 bits', by: ['dcmcjpeg', '+ee', '+q', '95'], back: ['dcmdjpeg'], only: kind => grey(kind) && !eightBits(kind) && kind !== 'RTDOSE' },
  { name: 'JPEG lossless', by: ['dcmcjpeg', '+el'], back: ['dcmdjpeg'] }, { name: 'JPEG lossless, first order', by: ['dcmcjpeg', '+e1'], back: ['dcmdjpeg'] },
  { name: 'JPEG-LS', by: ['dcmcjpls', '+el'], back: ['dcmdjpls'] }, { name: 'JPEG-LS near lossless', by: ['dcmcjpls', '+en', '+md', '2'], back: ['dcmdjpls'] },
  { name: 'JPEG 2000 lossless', by: ['gdcmconv', '--j2k'], back: ['gdcmconv', '--raw'] }, { name: 'JPEG 2000 lossy', by: ['gdcmconv', '--j2k', '--lossy', '-r', '4'], back: ['gdcmconv', '--raw'] },
  { name: 'HTJ2K lossless', by: { syntax: '1.2.840.10008.1.2.4.201' } }, { name: 'HTJ2K lossless RPCL', by: { syntax: '1.2.840.10008.1.2.4.202' } }
]

async function run (program: string, args: string[], from: string, to: string): Promise<void> {
  const result = await programs.run(program, [...args, from, to])
  if (result.exitCode !== 0 || !existsSync(to)) throw new Error(`${program} ${args.join(' ')}: ${result.stderr}`)
}

async function encode (by: Way['by'], from: string, to: string): Promise<void> {
  if (Array.isArray(by)) {
    const [program, ...args] = by
    await run(program, args, from, to)
    return
  }
  await dcmjsCodecs.NativeCodecs.initializeAsync()
  const transcoder = new dcmjsCodecs.Transcoder(new Uint8Array(readFileSync(from)).buffer)
  transcoder.transcode(by.syntax)
  writeFileSync(to, Buffer.from(transcoder.getDicomPart10()))
}

/** What must be seen of a file that is not compressed. */
async function expectation (path: string, { grey: rule }: typeof KINDS[number], rangeOfAll: boolean): Promise<Pick<TestImage, 'columns' | 'rows' | 'frames' | 'expected'>> {
  const { attributes, pixelData } = await readObject(path)
  const number = (tag: number): number => attributes.number(tag) ?? 0
  const [rows, columns, samples, bytesEach, planar] = [number(0x00280010), number(0x00280011), number(0x00280002), number(0x00280100) / 8, number(0x00280006)]
  const frames = Math.max(1, Number(attributes.text(0x00280008) ?? 1))
  const file = readFileSync(path)
  const start = pixelData?.offset ?? Number.NaN
  const stored = (frame: number, at: number): number => {
    const place = start + (frame * rows * columns * samples + at) * bytesEach
    return bytesEach === 2 ? file.readUInt16LE(place) : file[place] ?? Number.NaN
  }
  const ends = (frame: number): [number, number] => {
    let [min, max] = [Infinity, -Infinity]
    for (let at = 0; at < rows * columns * (rangeOfAll ? frames : 1); at++) {
      const value = stored(rangeOfAll ? 0 : frame, at)
      min = Math.min(min, value)
      max = Math.max(max, value)
    }
    return [min, max]
  }
  // dcmcjpeg writes other values and another intercept where it loses something
  const intercept = Number(attributes.text(0x00281052) ?? 0)
  const known = new Map<number, [number, number]>()
  const brightness = (frame: number, value: number): number => {
    if (rule !== undefined) return ((value + intercept - (rule.centre - 0.5)) / (rule.width - 1) + 0.5) * 255
    const [min, max] = known.get(frame) ?? ends(frame)
    known.set(frame, [min, max])
    return 255 * (value - min) / (max - min)
  }
  const clamp = (value: number): number => Math.max(0, Math.min(255, value))
  return {
    columns, rows, frames,
    expected: (frame, column, row): Colour => {
      const at = row * columns + column
      if (samples === 1) {
        const one = clamp(brightness(frame, stored(frame, at)))
        return [one, one, one]
      }
      const sample = (n: number): number => stored(frame, planar === 1 ? n * rows * columns + at : 3 * at + n)
      return [sample(0), sample(1), sample(2)]
    }
  }
}

interface Case { name: string, path: string, image: TestImage | undefined, noPicture: RegExp | undefined }

const cases: Case[] = []
const [study] = demoStudies()
if (study === undefined) throw new Error('no study')
for (const one of KINDS) {
  const [phantom] = await writeStudy({ ...study, accessionNumber: one.kind, series: [{ kind: one.kind, count: 1 }] }, temporaryFolder(t), programs)
  if (phantom === undefined) throw new Error('no phantom')
  for (const { name, by, back, only = () => true, noPicture } of WAYS) {
    if (!only(one.kind)) continue
    const path = join(folder, `${cases.length}.dcm`)
    await encode(by, phantom.path, path)
    const decoded = `${path}.raw`
    if (back !== undefined) {
      const [program, ...args] = back
      await run(program, args, path, decoded)
    }
    const seen = await expectation(back === undefined ? phantom.path : decoded, one, back === undefined && Array.isArray(by))
    cases.push({ name: `${one.kind}, ${name}`, path, noPicture, image: noPicture === undefined ? { name, file: Buffer.alloc(0), within: one.kind === 'US-colour' ? 2 : 1, ...seen } : undefined })
  }
}
const disc = await viewerDisc(t, programs, cases.map(({ name, path }) => ({ modality: 'OT', description: name, files: [path] })))

t.test('wrong pictures: none', async t => {
  const engine = await startEngine('chromium', programs)
  t.teardown(async () => { await engine.close() })
  await engine.open(pathToFileURL(join(disc.root, 'INDEX.HTM')).href)
  await engine.evaluate(WITHOUT_TEXT)
  for (const [index, { name, image, noPicture }] of cases.entries()) {
    await engine.evaluate(`document.querySelectorAll('.mv-list .mv-tile')[${index}].click()`)
    if (image === undefined) {
      await eventually(async () => (await engine.evaluate<State>(STATE)).message !== '', 100)
      t.match((await engine.evaluate<State>(STATE)).message, noPicture, name)
      continue
    }
    let found = { worst: 256, at: 'nothing' }
    await eventually(async () => (found = await worst(engine, image, 0)).worst <= image.within, 100)
    t.ok(found.worst <= image.within, `${name}: off by ${found.worst}`, { pixel: found.at, state: await engine.evaluate<State>(STATE) })
  }
})
