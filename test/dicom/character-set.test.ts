import fc from 'fast-check'
import t from 'tap'
import { encoderFor, specificCharacterSet, type CharacterSet } from '../../demo/phantoms/character-sets.ts'
import { decodeText, isCharacterSet, isTextIn } from '../../src/dicom/character-set.ts'

t.test('names come back as they were', async t => {
  const names: Array<[CharacterSet, string]> = [
    ['ISO_IR 192', 'Wang^XiaoDong=王^小东'], ['ISO 2022 IR 87', 'Yamada^Tarou=山田^太郎=やまだ^たろう'], ['ISO_IR 144', 'Иванов^Пётр'],
    ['ISO 2022 IR 149', 'Hong^Gildong=洪^吉洞=홍^길동'], ['ISO_IR 100', 'Buc^Jérôme']
  ]
  for (const [set, name] of names) t.equal(decodeText(encoderFor(set)(name), specificCharacterSet(set)), name, set)
})

t.test('the examples of PS3.5 H.3.1 and I.2, byte for byte', async t => {
  const bytes = (...parts: string[]): Buffer => Buffer.concat(parts.map((part, index) => Buffer.from(part,
    index % 2 === 0 ? 'latin1' : 'hex')))
  const japanese = bytes('Yamada^Tarou=', '1b24423b3345441b2842', '^', '1b244242404f3a1b2842')
  t.equal(decodeText(japanese, '\\ISO 2022 IR 87'), 'Yamada^Tarou=山田^太郎')
  const korean = bytes('Hong^Gildong=', '1b242943fbf3', '^', '1b242943d1ced4d7')
  t.equal(decodeText(korean, '\\ISO 2022 IR 149'), 'Hong^Gildong=洪^吉洞')
})

t.test('an unknown set, an unknown escape and no set at all do not throw', async t => {
  t.equal(decodeText(Buffer.from('A'), 'NONSENSE'), 'A')
  t.equal(decodeText(Buffer.from([0x1b, 0x28, 0x7a, 0x41]), '\\ISO 2022 IR 87'), '\x1b(zA')
  t.equal(decodeText(Buffer.alloc(0), ''), '')
})

t.test('any bytes in any set are text', async () => {
  const sets = ['', 'ISO_IR 100', 'ISO_IR 192', 'GB18030', 'GBK', 'ISO_IR 13', 'ISO_IR 166', '\\ISO 2022 IR 87',
    'ISO 2022 IR 13\\ISO 2022 IR 159', '\\ISO 2022 IR 149', '\\ISO 2022 IR 58', 'x']
  const escape = fc.constantFrom('(B', '(J', ')I', '$B', '$@', '$(D', '$)C', '$)A', '-L', '(', '').map(text => [0x1b, ...Buffer.from(text)])
  const bytes = fc.array(fc.oneof(escape, fc.uint8Array({ maxLength: 8 }).map(part => [...part])),
    { maxLength: 8 }).map(parts => Buffer.from(parts.flat()))
  fc.assert(fc.property(fc.constantFrom(...sets), bytes, (set, value) => typeof decodeText(value,
    set) === 'string' && typeof isTextIn(value, set) === 'boolean'), { numRuns: 2_000 })
  fc.assert(fc.property(fc.string(), bytes, (set, value) => typeof decodeText(value,
    set) === 'string' && typeof isCharacterSet(set) === 'boolean'))
})

t.test('which sets there are', async t => {
  for (const set of ['', 'ISO_IR 6', 'ISO_IR 100', 'ISO_IR 192', 'GB18030', '\\ISO 2022 IR 87', 'ISO 2022 IR 6\\ISO 2022 IR 149',
    'ISO 2022 IR 13\\ISO 2022 IR 87']) t.ok(isCharacterSet(set), set)
  for (const set of ['ISO_IR100', 'UTF-8', 'ISO_IR 999', 'ISO_IR 192\\ISO_IR 100', 'ISO 2022 IR 999',
    'ISO 2022 IR 6\\']) t.notOk(isCharacterSet(set), set)
})
