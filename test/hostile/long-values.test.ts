/**
 * Values from outside that are longer than any standard allows: what costs the square of their length stops everything else. Nothing is timed here: each
 * of these took the square of its length before (64 KiB of blanks: 8 s, 256 KiB: 118 s), and now takes a moment.
 */
import { join } from 'node:path'
import t from 'tap'
import { readIdentifier } from '../../src/archive/dimse/association/identifier.ts'
import { JsonAnswer } from '../../src/archive/dicomweb/json-answer.ts'
import { checkAccessionNumber } from '../../src/dicom/accession-number.ts'
import { Attributes } from '../../src/dicom/attributes.ts'
import { compareNames } from '../../src/dicom/name.ts'
import { withoutBothEnds, withoutEnd } from '../../src/dicom/padding.ts'
import { trimmed } from '../../src/dcmtk/answers.ts'
import { isoFileNameForPatient } from '../../src/disc/file-name.ts'
import { framesOf } from '../../src/disc/viewer/pixel-script.ts'
import { cdaPage } from '../../src/disc/web/cda.ts'
import { programsOf } from '../world.ts'

const ROOT = join(import.meta.dirname, '../..')
const MIB = 1024 ** 2
/** In the middle of a value: a pattern for padding at its end begins anew at each of them. */
const inTheMiddle = (character: string, length = MIB): string => `a${character.repeat(length)}b`

function element (tag: number, vr: string, value: Buffer): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16LE(tag >>> 16)
  head.writeUInt16LE(tag & 0xFFFF, 2)
  head.write(vr, 4, 'latin1')
  head.writeUInt32LE(value.length, 8)
  return Buffer.concat([head, value])
}

function implicitElement (tag: number, value: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16LE(tag >>> 16)
  head.writeUInt16LE(tag & 0xFFFF, 2)
  head.writeUInt32LE(value.length, 4)
  return Buffer.concat([head, value])
}

t.test('padding is taken from the ends and from nowhere else', async t => {
  t.equal(withoutEnd(' a \0b \0 ', /[ \0]/), ' a \0b')
  t.equal(withoutEnd('   ', / /), '')
  t.equal(withoutBothEnds('.. a . b. ', /[. ]/), 'a . b')
  t.equal(withoutBothEnds('', / /), '')
})

t.test('a megabyte of padding within a value', async t => {
  const blanks = inTheMiddle(' ')
  t.equal(trimmed(`${blanks} \0`), blanks, 'of an answer to C-FIND')
  const attributes = new Attributes(element(0x00081030, 'UT', Buffer.from(`${blanks} `)))
  t.equal(attributes.text(0x00081030), blanks, 'of a file')
  t.equal(readIdentifier(implicitElement(0x0008103E, Buffer.from(`${blanks}\0 `))).get(0x0008103E), blanks, 'of a response to C-GET')
  t.equal(new JsonAnswer({ '00081030': { vr: 'LO', Value: [`${blanks} \0`] } }).text('00081030'), blanks, 'of an answer of QIDO-RS')
  const delimiters = inTheMiddle('=')
  t.equal(new JsonAnswer({ '00100010': { vr: 'PN', Value: [{ Alphabetic: delimiters }] } }).text('00100010'), delimiters)
  t.throws(() => checkAccessionNumber(blanks), { code: 'INVALID_ACCESSION_NUMBER' })
  t.match(isoFileNameForPatient(inTheMiddle('.'), ['A.1']), /^a\.+-?/)
})

t.test('no such pattern comes back', async t => {
  const bad = ['/ +$/', '/[ \\0]+$/', '/^ +|[ \\0]+$/g', '/\\s*$/', '/=+$/', '/\\/+$/']
  const good = ['/^ +/', '/^ +$/', '/;\\d+$/', '/\\.(?:gz|xz)$/', '/^[a-z]+$/']
  const patterns = [...bad, ...good]
  const { stdout } = await programsOf(t).run(process.execPath, [join(ROOT, 'node_modules/eslint/bin/eslint.js'), '--stdin', '--stdin-filename', 'src/dicom/padding.ts', '--format', 'json'], {
    cwd: ROOT, input: patterns.map((pattern, index) => `export const pattern${index} = ${pattern}\n`).join('')
  })
  const [{ messages } = { messages: [] }] = JSON.parse(stdout) as Array<{ messages: Array<{ ruleId: string, line: number }> }>
  const refused = messages.filter(({ ruleId }) => ruleId === 'no-restricted-syntax').map(({ line }) => patterns[line - 1])
  t.strictSame(refused, bad)
})

t.test('names of thousands of words', async t => {
  const words = Array.from({ length: 4_000 }, (_, index) => `w${index}`)
  t.equal(compareNames(words.join('^'), [...words].join(' ')), 'same')
  t.equal(compareNames(words.map(word => `a${word}`).join('^'), words.map(word => `b${word}`).join('^')), 'different')
  t.equal(compareNames('A='.repeat(4_000), 'B='.repeat(4_000)), 'different')
})

t.test('a clinical document of 200,000 elements within each other', async t => {
  const deep = 200_000
  const page = cdaPage(Buffer.from(`<ClinicalDocument><title>Report</title>${'<a>'.repeat(deep)}<section><text>found</text></section>${'</a>'.repeat(deep)}</ClinicalDocument>`))
  t.match(page, 'found')
  t.throws(() => cdaPage(Buffer.from(`<!DOCTYPE d [<!ENTITY a "${'x'.repeat(1_000)}"><!ENTITY b "${'&a;'.repeat(1_000)}">]><d><section><text>&b;</text></section></d>`)), /entity/, 'entities of its own are not followed')
})

t.test('frames in fragments: each fragment once', async t => {
  const image = { numberOfFrames: 0, rows: 1, columns: 1, samplesPerPixel: 1, bitsAllocated: 8, pixelData: { offset: 0, lengthBytes: 0, encapsulated: true } }
  const item = (bytes: Buffer): Buffer => {
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(bytes.length, 4)
    return Buffer.concat([head, bytes])
  }
  const file = (offsets: readonly number[], fragments: number): Buffer => {
    const table = Buffer.alloc(4 * offsets.length)
    for (const [index, offset] of offsets.entries()) table.writeUInt32LE(offset, 4 * index)
    const each = item(Buffer.from('xy'))
    return Buffer.concat([item(table), ...Array.from({ length: fragments }, () => each), Buffer.from('feffdde000000000', 'hex')])
  }
  const frames = (offsets: readonly number[], fragments: number): Buffer[] => framesOf(file(offsets, fragments), { ...image, numberOfFrames: offsets.length })
  t.strictSame(frames([0, 20], 3).map(String), ['xyxy', 'xy'])
  const many = 50_000
  t.equal(frames(Array.from({ length: many }, (_, index) => 20 * index), 2 * many).length, many)
  // each second frame would have been all of the file
  t.throws(() => frames(Array.from({ length: many }, (_, index) => index % 2 === 0 ? 0 : 20 * many), 2 * many), /table of offsets/)
  t.throws(() => frames([5, 20], 3), /table of offsets/)
})
