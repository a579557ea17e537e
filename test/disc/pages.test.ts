/** The words of the pages, and what comes from a PACS between them. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseConfig } from '../../src/config/load.ts'
import type { DiscContents } from '../../src/disc/contents.ts'
import { isoFileNameForPatient, nameFromDicom } from '../../src/disc/file-name.ts'
import { loadLanguage } from '../../src/language/language.ts'
import { renderPages, type PageInput } from '../../src/disc/pages/pages.ts'
import { Attributes } from '../../src/dicom/attributes.ts'
import { personName } from '../../src/dicom/person-name.ts'
import { NO_WEB_CONTENT } from '../../src/disc/web/web-content.ts'
import { reportPage } from '../../src/disc/web/report.ts'
import { temporaryFolder } from '../world.ts'

const DISC = parseConfig('iso: {temp_dir: /tmp}', 'test', { env: {} }).disc

function pages (over: Partial<PageInput> = {}, patientName = 'A^B', studyDescription = 'Chest', page?: string): Map<string, string> {
  const instance = { sopInstanceUid: '1', sopClassUid: '', instanceNumber: 1 }
  const series = { seriesInstanceUid: '1.1', modality: 'CR', seriesNumber: 1, seriesDescription: 'PA', instances: [instance], instanceCount: 1, listing: 'whole' as const }
  const patient = { patientId: 'P1', issuerOfPatientId: '', patientName, birthDate: '', sex: '' }
  const study = { studyInstanceUid: '1.2', accessionNumber: 'X', patient, studyDate: '20240305', studyTime: '', studyDescription, studyId: '', seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole' as const, series: [series] }
  const object = {
    ...instance, studyInstanceUid: '1.2', seriesInstanceUid: '1.1', transferSyntaxUid: '', patient, sizeBytes: 1, attributes: Attributes.NONE,
    pixelData: undefined, remarks: []
  }
  const file = { instance, object, sourcePath: '', sizeBytes: 1, transferSyntaxUid: '', fileId: 'DICOM/PT000001/ST000001/SE000001/IM000001' }
  const discStudy = { study, series: [{ series, files: [file] }] }
  const contents: DiscContents = { patients: [{ patient, studies: [discStudy] }], disc: 1, discs: 1 }
  const web = page === undefined ? NO_WEB_CONTENT : { pages: new Map([[discStudy, page]]), series: new Map() }
  const made = renderPages({ contents, disc: DISC, viewer: undefined, web, notListed: [], missing: 0, profile: 'STD-GEN-CD', createdAt: new Date('2024-03-06T00:00:00Z'), ...over })
  return new Map(made.map(({ path, text }) => [path, text]))
}

t.test('what comes from a PACS is text, never markup, never a line of its own', async t => {
  const made = pages({}, '<script>alert(1)</script>^X', '"quoted" <b>\r\nForged: line\u202e')
  const index = made.get('INDEX.HTM') ?? ''
  t.notMatch(index, '<script>alert')
  t.match(index, '&lt;script&gt;alert(1)&lt;/script&gt; X')
  t.notMatch(made.get('README.TXT') ?? '', /^Forged/m)
  t.notMatch(index, /\u202e/)
})

t.test('what must be said is said', async t => {
  const made = pages({ missing: 3, notListed: [{ fileId: 'DICOM/PT000001/ST000001/SE000001/IM000001', reason: 'required attribute missing' }] })
  t.match(made.get('INDEX.HTM'), 'THIS DISC IS NOT COMPLETE: 3 image(s)')
  t.match(made.get('README.TXT'), 'THIS DISC IS NOT COMPLETE: 3 image(s)')
  t.match(made.get('README.TXT'), 'DICOM/PT000001/ST000001/SE000001/IM000001 (required attribute missing)')
  t.notMatch(pages().get('INDEX.HTM'), 'NOT COMPLETE')
  t.match(pages().get('README.TXT'), 'Made by mkiso-server')
})

t.test('the viewer', async t => {
  t.equal(pages().get('AUTORUN.INF'), undefined)
  t.equal(pages({ viewer: { folder: 'VIEWER', program: '' } }).get('AUTORUN.INF'), undefined, 'only where a program is named')
  t.match(pages({ viewer: { folder: 'VIEWER', program: 'mDicom.exe' } }).get('AUTORUN.INF'), 'open=VIEWER\\mDicom.exe\r\n')
  t.match(pages({ viewer: { folder: 'VIEWER', program: 'mDicom.exe' } }).get('INDEX.HTM'), 'Start mDicom.exe in it.')
})

t.test('languages: shipped, the site\'s own, and wrong ones', async t => {
  t.equal(loadLanguage('id', '').say('view_pictures'), 'Lihat gambar')
  t.equal(loadLanguage('id', '').date('20240305'), '5 Maret 2024')
  t.equal(loadLanguage('en', '').date('not a date'), 'date not known')
  const folder = temporaryFolder(t)
  const own = join(folder, 'own')
  mkdirSync(own)
  writeFileSync(join(own, 'jv.yaml'), 'locale: jv-ID\nview_pictures: Deleng gambar\n')
  t.equal(loadLanguage('jv', own).say('view_pictures'), 'Deleng gambar')
  t.equal(loadLanguage('jv', own).say('images'), 'Images', 'what it leaves out stays English')
  writeFileSync(join(own, 'xx.yaml'), 'veiw_pictures: x\n')
  t.throws(() => loadLanguage('xx', own), { message: `${join(own, 'xx.yaml')}: unknown key veiw_pictures` })
  writeFileSync(join(own, 'yy.yaml'), 'images: 3\n')
  t.throws(() => loadLanguage('yy', own), { message: `${join(own, 'yy.yaml')}: images is not a text (put it in quotes)` })
  t.throws(() => loadLanguage('zz', ''), /there is no zz.yaml in disc.language_dir/)
})

t.test('names for people and for files', async t => {
  t.equal(personName('Yamada^Tarou=山田^太郎=やまだ^たろう'), 'Yamada Tarou (山田 太郎)')
  t.equal(personName('Doe^John^Q^Dr^Jr'), 'Dr Doe John Q Jr')
  t.equal(personName('=山田^太郎'), '山田 太郎')
  t.equal(personName(''), '')
  t.equal(nameFromDicom('DOE^JOHN'), 'DOE JOHN')
  t.equal(isoFileNameForPatient('JOHN DOE', ['A', 'B']), 'JOHN DOE-A_B')
  t.equal(isoFileNameForPatient('../../x\r\nSet-Cookie: a\u202e"', ['RAD/1']), '_.._x Set-Cookie_ a _-RAD_1')
  t.equal(isoFileNameForPatient('\ud800', ['A']), 'PATIENT-A')
})

t.test('README.TXT is lines, and none too long for an editor', async t => {
  const text = pages({ missing: 3, notListed: [{ fileId: 'DICOM/PT000001/ST000001/SE000001/IM000001', reason: 'x' }], viewer: { folder: 'VIEWER', program: '' } }).get('README.TXT') ?? ''
  const lines = text.split('\r\n')
  t.notMatch(lines.join(''), /[\r\n]/, 'CR LF throughout')
  t.equal(lines.at(-1), '', 'the last one ends too')
  t.equal(Math.max(...lines.map(line => line.length)) <= 78, true)
  for (const line of ['WHAT IS ON THE DISC', '1 patient(s), 1 study(ies), 1 image(s) and document(s)', 'HOW TO SEE THE IMAGES', 'DISCLAIMER', '    CR PA, Images: 1']) {
    t.ok(lines.includes(line), `${line} stands by itself`)
  }
})

t.test('what dsr2html writes is cleaned: no script, no way out, the words stay', async t => {
  const page = reportPage(`<html><head><title>CT & <script>x()</script>report</title><style>*{}</style></head><body onload="x()">
    <h1>Report</h1><script>alert(1)</script><p>Finding: <a href="javascript:alert(1)">image</a> <a href="http://localhost/dicom.cgi?1.2">1.2</a>
    <a href="#annex_dst_1">Annex</a> <a name="annex_dst_1"></a>there <a href="#x javascript:1" onclick="x()">odd</a><img src=x onerror=alert(1)></p>
    <table><tr><td><b>Patient</b></td><td>A &lt;B&gt; &amp; C</td></tr></table><svg onload=alert(1)></svg><iframe src="//x"></iframe><form action="//x"><input></form></body></html>`)
  t.match(page, "default-src 'none'")
  t.notMatch(page, /javascript:|onload|onerror|onclick|<script|<svg|<iframe|<form|<img|http:\/\/|\/\/x/i)
  for (const text of ['<h1>Report</h1>', 'image', '1.2', '<a href="#annex_dst_1">Annex</a>', '<a name="annex_dst_1"></a>there', 'A &lt;B&gt; &amp; C', '<td><b>Patient</b></td>']) t.match(page, text)
})

t.test('every page of a disc has a policy, which lets our own script run and no other', async t => {
  for (const pictures of [undefined, { locale: 'en-GB', words: {}, patients: [] }]) {
    const made = pages({ pictures }, 'A^B', 'Chest', 'IHE_PDI/ST000001.HTM')
    t.ok(made.has('IHE_PDI/ST000001.HTM'))
    for (const [path, text] of made) {
      if (!path.endsWith('.HTM')) continue
      const policy = /<meta http-equiv="Content-Security-Policy" content="([^"]*)">/.exec(text)?.[1] ?? ''
      t.match(policy, "default-src 'none'", path)
      const scripts = [...text.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, script = '']) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`)
      t.equal(scripts.length, path === 'INDEX.HTM' && pictures === undefined ? 0 : 1)
      for (const hash of scripts) t.ok(policy.includes(hash), `${path}: its own script`)
      t.notMatch(policy.replace(/style-src 'unsafe-inline'/, ''), 'unsafe-inline')
    }
  }
  const evil = '</script><script>alert(1)</script><!--'
  const text = pages({ pictures: { locale: 'en-GB', words: { title: evil }, patients: [] } }).get('INDEX.HTM') ?? ''
  t.equal(text.includes(evil), false)
  t.strictSame(JSON.parse(/<script type="application\/json" id="viewer-data">([\s\S]*?)<\/script>/.exec(text)?.[1] ?? ''), { locale: 'en-GB', words: { title: evil }, patients: [] })
})
