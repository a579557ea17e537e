/** From value to grey, against what the standard computes. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { part10 } from '../../../demo/phantoms/writer.ts'
import { storedRange } from '../../../src/disc/viewer/value-range.ts'
import { brightness, curveOfLut, curveOfWindow, usableWindows, windowOfRange } from '../../../src/disc/viewer/window.ts'
import { testImages } from './images.ts'
import { described } from './viewer-disc.ts'

t.test('PS3.3 C.11.2.1.2.1: its own examples', async t => {
  const full = curveOfWindow({ centre: 2_048, width: 4_096, shape: 'LINEAR' })
  t.equal(brightness(full, 0), 0)
  t.equal(brightness(full, 4_095), 1)
  t.ok(Math.abs(brightness(full, 1_000) - 1_000 / 4_095) < 1e-9)
  const step = curveOfWindow({ centre: 100, width: 1, shape: 'LINEAR' })
  t.strictSame([brightness(step, 99), brightness(step, 100)], [0, 1], 'a width of 1 is a threshold')
  const exact = curveOfWindow({ centre: 0, width: 100, shape: 'LINEAR_EXACT' })
  t.strictSame([-50, 0, 50].map(x => brightness(exact, x)), [0, 0.5, 1])
  const sigmoid = curveOfWindow({ centre: 50, width: 100, shape: 'SIGMOID' })
  for (let x = -300; x < 400; x += 7) {
    const off = Math.abs(brightness(sigmoid, x) - 1 / (1 + Math.exp(-4 * (x - 50) / 100)))
    if (off > 0.5 / 255) t.fail(`sigmoid at ${x}: ${off}`)
  }
})

t.test('windows that say nothing are left out', async t => {
  t.strictSame(usableWindows([1, 2, 3, Number.NaN, 5], [0, -5, Number.NaN, 7, 9], ''), [{ centre: 5, width: 9, shape: 'LINEAR' }])
  t.strictSame(usableWindows([1], [], ''), [], 'a centre without a width')
  t.match(usableWindows([0.2], [0.4], 'LINEAR', [], 1e-5), [{ shape: 'LINEAR_EXACT' }], 'one off a width below 1 would turn it round')
  t.match(usableWindows([5], [1], '', [], 1), [{ shape: 'LINEAR' }])
  t.match(usableWindows([5], [1], '', [], 0.01), [{ shape: 'LINEAR_EXACT' }])
  t.match(usableWindows([40, 400], [400, 1800], '', ['SOFT ', 'BONE']), [{ name: 'SOFT' }, { name: 'BONE' }])
  t.strictSame(windowOfRange(7, 7), { centre: 7, width: 1, shape: 'LINEAR_EXACT' }, 'one value')
})

t.test('look-up tables', async t => {
  const gamma = Array.from({ length: 4_096 }, (_, value) => Math.round(65_535 * (value / 4_095) ** 0.5))
  const curve = curveOfLut({ first: -100, entries: gamma, bits: 16 }) ?? []
  for (let value = 0; value < 4_096; value++) {
    const off = Math.abs(brightness(curve, value - 100) - (gamma[value] ?? 0) / 65_535)
    if (off > 0.25 / 255) t.fail(`${value}: ${off}`)
  }
  t.ok(curve.length < 200, `${curve.length} knots for 4096 entries`)
  t.equal(brightness(curve, -5_000), 0)
  t.equal(brightness(curve, 9_999), 1)
  t.equal(curveOfLut({ first: 0, entries: [0, 200, 100], bits: 8 }), undefined, 'one that rises and falls cannot be drawn, so it is not')
})

t.test('the description of an image is what stands in it', async t => {
  const folder = t.testdir()
  for (const image of testImages()) {
    const path = join(folder, 'image')
    writeFileSync(path, image.file)
    const { rows, columns, numberOfFrames, pixelData, frames } = await described(path)
    t.match({ rows, columns, numberOfFrames }, { rows: image.rows, columns: image.columns, numberOfFrames: image.frames }, image.name)
    t.equal(image.file.readUInt32LE((pixelData?.offset ?? 0) - 4), pixelData?.lengthBytes)
    if (image.name === 'window in functional groups') t.strictSame(frames.map(({ centres, widths }) => [centres, widths]), [[[1_000], [800]], [[3_000], [500]]])
    if (image.name === 'padding is not in the range') t.strictSame(storedRange(path, await described(path)), { min: 0, max: 8 * 63 + 55 })
  }
  const path = join(folder, 'none')
  writeFileSync(path, part10('1.2.3', '1.2.4', [['00080060', 'CS', 'SR']], text => Buffer.from(text)))
  t.match(await described(path), { rows: 0, pixelData: undefined })
  writeFileSync(path, testImages()[0]?.file.subarray(0, 400) ?? '')
  await t.rejects(described(path), { name: 'CutOffError' })
  writeFileSync(path, 'no DICOM')
  await t.rejects(described(path), { name: 'NotDicomError' })
})
