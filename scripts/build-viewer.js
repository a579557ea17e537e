/** The viewer of a disc as one script and one style sheet, which the pages of discs carry inside. */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

export async function buildViewer () {
  await build({
    absWorkingDir: ROOT,
    entryPoints: { viewer: 'viewer/src/main.ts', style: 'viewer/viewer.css' },
    outdir: 'src/disc/viewer/assets',
    bundle: true,
    minify: true,
    charset: 'utf8',
    format: 'iife',
    legalComments: 'none',
    // what hospitals and patients have: no older than five years
    target: ['chrome90', 'firefox90', 'safari14.1']
  })
  const { outputFiles: [codecs] } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['viewer/codecs/codecs.ts'],
    alias: { dcmjs: './viewer/codecs/no-dcmjs.js' },
    bundle: true,
    write: false,
    minify: true,
    // it is read one byte a character
    charset: 'ascii',
    format: 'iife',
    target: ['chrome90', 'firefox90', 'safari14.1'],
    logOverride: { 'direct-eval': 'silent' }
  })
  const module = readFileSync(join(dirname(createRequire(import.meta.url).resolve('dcmjs-codecs')), 'dcmjs-native-codecs.wasm'))
  writeFileSync(join(ROOT, 'src/disc/viewer/assets/codecs.txt'), Buffer.concat([
    Buffer.from(codecs.text), Buffer.from('viewerPixels("codecs",['), Buffer.from(String(module.length)), Buffer.from('],"'), escaped(module), Buffer.from('")\n')
  ]))
}

/** Bytes as they stand in a string of a script that is read as x-user-defined; the same as in src/disc/viewer/pixel-script.ts. */
function escaped (bytes) {
  const out = Buffer.alloc(2 * bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    const sign = byte === 0 ? 0x30 : byte === 0x0A ? 0x6E : byte === 0x0D ? 0x72 : byte === 0x22 || byte === 0x5C ? byte : undefined
    const digitNext = bytes[at + 1] >= 0x30 && bytes[at + 1] <= 0x39
    if (sign !== undefined && !(byte === 0 && digitNext)) out[length++] = 0x5C
    out[length++] = byte === 0 && digitNext ? 0 : sign ?? byte
  }
  return out.subarray(0, length)
}

if (process.argv[1] === import.meta.filename) await buildViewer()
