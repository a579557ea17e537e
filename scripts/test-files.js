/** Which files are tests, and which of them are only run by `npm run test:all`. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What takes long: each is the thorough form of what `npm test` tries too, which is named beside it. CI runs them all. A path that ends in / is a folder.
 * The daily ones take about four minutes together, two at a time, on two cores, lint and types beside them.
 */
const THOROUGH = {
  // daily: an error of each kind (e2e/errors.test.ts), the judge and its properties (studies/), a program that dies (process.test.ts)
  'test/faults/': 'programs that lie, break off, or are killed; disks that fill; generated archives over the wire',
  'test/studies/generated-archives.test.ts': 'thousands of archives; daily: studies/shared-comparison.test.ts, e2e/retrieval.test.ts',
  'test/studies/generated-several.test.ts': 'thousands of sets of archives; daily: as above',
  // daily: archive/dicomweb/orthanc.test.ts, which asks a real one by C-MOVE, C-GET and WADO-RS
  'test/archive/dicomweb/generated-servers.test.ts': 'servers that lie; daily: archive/dicomweb/orthanc.test.ts',
  'test/archive/dicomweb/https.test.ts': 'certificates and tokens; daily: config/load.test.ts for the keys',
  'test/archive/dimse/dimse-archive.test.ts': 'every transport; daily: e2e/retrieval.test.ts',
  'test/archive/dimse/storage-scp-tools.test.ts': 'every sender that there is; daily: archive/dimse/storage-scp.test.ts',
  'test/archive/several.test.ts': 'archives that contradict each other; daily: archive/port-pool.test.ts, e2e/retrieval.test.ts',
  'test/archive/find.test.ts': 'a PACS that answers oddly; daily: e2e/retrieval.test.ts, dcmtk/findscu.test.ts',
  'test/archive/few-associations.test.ts': 'a PACS of one association; daily: archive/association-limit.test.ts',
  'test/archive/locked-index.test.ts': 'a PACS that answers no query while it sends; daily: archive/association-limit.test.ts',
  'test/archive/limits.test.ts': '200,000 answers; daily: dcmtk/findscu.test.ts',
  'test/archive/priors.test.ts': 'earlier studies; daily: studies/priors.test.ts',
  'test/archive/prior-body-parts.test.ts': 'the same by body part, from every archive; daily: as above',
  'test/e2e/retrieval-orthanc.test.ts': 'the same from another PACS; daily: e2e/retrieval.test.ts, archive/dicomweb/orthanc.test.ts',
  'test/e2e/whose-images.test.ts': 'copied, corrected and mixed studies; daily: studies/same-patient.test.ts, dicom/person.test.ts',
  'test/e2e/tls.test.ts': 'DICOM TLS both ways; daily: config/load.test.ts for the keys',
  'test/e2e/log.test.ts': 'each line of the log; daily: e2e/errors.test.ts for what a request leaves there',
  'test/e2e/listing.test.ts': 'images that come before their list; daily: e2e/retrieval.test.ts',
  'test/e2e/leaving.test.ts': 'who leaves at every moment; daily: e2e/activity.test.ts, e2e/print.test.ts',
  'test/print/storm.test.ts': 'prints while everything falls; daily: print/queue.test.ts, print/state-folder.test.ts',
  'test/print/jobs.test.ts': 'prints over HTTP, killed; daily: print/queue.test.ts, e2e/print.test.ts',
  'test/hostile/hostile.test.ts': 'attacks; daily: e2e/bad-input.test.ts, plugins/guards.test.ts',
  'test/hostile/bombs.test.ts': 'files that swell; daily: dicom/part10.test.ts, fuzz/fuzz.test.ts',
  'test/hostile/silent-peers.test.ts': 'a thousand silent connections; daily: archive/dimse/storage-scp.test.ts',
  'test/hostile/flood.test.ts': 'a PACS that answers without end; daily: dcmtk/findscu.test.ts',
  'test/hostile/pages.test.ts': '400 pages of one study; daily: plugins/events.test.ts',
  'test/hostile/crowd.test.ts': '200 requests at once; daily: archive/association-limit.test.ts',
  'test/hostile/names.test.ts': 'whose names are seen where; daily: audit/audit.test.ts, metrics/metrics.test.ts',
  // real browsers and the real nginx; daily: the headers of every page and a page in Chromium (plugins/guards.test.ts), the routes (plugins/plugins.test.ts)
  'test/screens/': 'every page in browsers; daily: desk/login.test.ts, work/',
  'test/nginx/': 'the shipped configuration; daily: docs.test.ts',
  'test/disc/browser.test.ts': 'the disc in Chromium; daily: disc/pages.test.ts',
  'test/disc/viewer/viewer.test.ts': 'the viewer in Chromium; daily: disc/viewer/disc-viewer.test.ts',
  'test/disc/viewer/window.test.ts': 'every window; daily: as above',
  'test/disc/viewer/thumbnails.test.ts': 'its small pictures; daily: as above',
  'test/disc/viewer/compressed.test.ts': 'every transfer syntax; daily: as above',
  'test/disc/viewer/phantoms.test.ts': 'odd images; daily: as above',
  'test/disc/viewer/browsers.test.ts': 'three engines; daily: as above',
  // every kind of disc from every archive
  'test/disc/disc.test.ts': 'every kind of disc; daily: e2e/retrieval.test.ts, disc/names-from-files.test.ts',
  'test/disc/zip/zip.test.ts': 'the ZIP in every manner; daily: disc/zip/whose-images.test.ts',
  'test/disc/zip/growing-zip.test.ts': 'ZIPs that many readers unpack; daily: disc/zip/whose-images.test.ts',
  'test/disc/choice.test.ts': 'parts of a study; daily: e2e/bad-input.test.ts',
  'test/disc/resume.test.ts': 'downloads that go on; daily: disc/image-stream.test.ts',
  'test/doctor/': 'what the doctor finds; daily: health/health.test.ts',
  'test/demo/': 'npm run demo; daily: every test that starts its PACS',
  'test/cli/make.test.ts': 'discs from the command line; daily: cli/arguments.test.ts, cli/link.test.ts',
  'test/cli/log-stream.test.ts': 'a log that stands still; daily: e2e/process.test.ts',
  'test/auth/links.test.ts': 'signed links over HTTP; daily: auth/keys.test.ts'
}

/** @returns paths from the root of the project, in order */
export function testFiles (root) {
  return readdirSync(join(root, 'test'), { recursive: true }).filter(name => name.endsWith('.test.ts')).map(name => join('test', name)).sort()
}

export function isThorough (file) {
  return Object.keys(THOROUGH).some(one => one.endsWith('/') ? file.startsWith(one) : file === one)
}
