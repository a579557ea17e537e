/** Which files are tests, and which of them are only run by `npm run test:all`. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What takes long, and breaks seldom without something that `npm test` sees too: each is the thorough form of what other files try. CI runs them all.
 * A path that ends in / is a folder.
 */
const THOROUGH = [
  // programs that lie, break off, or are killed; disks that fill; generated archives over the wire
  'test/faults/',
  'test/archive/dicomweb/generated-servers.test.ts', 'test/archive/dicomweb/https.test.ts', 'test/archive/dimse/dimse-archive.test.ts', 'test/archive/several.test.ts',
  'test/studies/generated-archives.test.ts', 'test/studies/generated-several.test.ts',
  'test/print/storm.test.ts', 'test/print/jobs.test.ts',
  'test/hostile/hostile.test.ts', 'test/hostile/bombs.test.ts', 'test/hostile/silent-peers.test.ts', 'test/hostile/flood.test.ts', 'test/hostile/pages.test.ts', 'test/hostile/crowd.test.ts',
  // real browsers and the real nginx
  'test/screens/', 'test/nginx/', 'test/disc/browser.test.ts', 'test/disc/viewer/',
  // every kind of disc from every archive
  'test/disc/disc.test.ts', 'test/disc/dicomdir.test.ts', 'test/disc/zip/', 'test/disc/choice.test.ts', 'test/disc/resume.test.ts', 'test/disc/web/',
  'test/e2e/whose-images.test.ts', 'test/e2e/tls.test.ts', 'test/e2e/log.test.ts', 'test/e2e/listing.test.ts',
  'test/doctor/', 'test/demo/', 'test/cli/', 'test/auth/links.test.ts'
]

/** @returns paths from the root of the project, in order */
export function testFiles (root) {
  return readdirSync(join(root, 'test'), { recursive: true }).filter(name => name.endsWith('.test.ts')).map(name => join('test', name)).sort()
}

export function isThorough (file) {
  return THOROUGH.some(one => one.endsWith('/') ? file.startsWith(one) : file === one)
}
