/** Clinical documents on a disc: what a person must read of them, as text and never as markup or script. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readObject } from '../../../src/dicom/part10.ts'
import { cdaPage } from '../../../src/disc/web/cda.ts'
import { renderDocument } from '../../../src/disc/web/document.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../../world.ts'

function document (body: string, declaration = '<?xml version="1.0" encoding="UTF-8"?>'): string {
  return `${declaration}<?xml-stylesheet type="text/xsl" href="http://example.org/cda.xsl"?><ClinicalDocument xmlns="urn:hl7-org:v3" classCode="DOCCLIN" moodCode="EVN">
<id root="2.16.840.1.113883.19.4" extension="c266"/><code code="18748-4" displayName="Imaging report"/><title>Report of the chest</title>
<recordTarget><patientRole><patient><name><given>Nobody</given></name></patient></patientRole></recordTarget><component>${body}</component></ClinicalDocument>`
}

const BODY = `<structuredBody><component><section><title>Findings &amp; more</title><text><paragraph>A <content styleCode="Bold">round</content> lesion<br/>of 3 mm &lt; 5 mm</paragraph>
<list listType="ordered"><item>first</item><item>second</item></list><table onclick="alert(1)"><caption>Sizes</caption><tbody><tr><th colspan="2">Side</th></tr><tr><td>left</td><td>3</td></tr></tbody></table>
<linkHtml href="javascript:alert(1)">a link</linkHtml><renderMultiMedia referencedObject="MM1"/></text><entry><observation><value>12345</value></observation></entry>
<component><section><title>Inner</title><text>plain text</text></section></component></section></component></structuredBody>`

t.test('titles and text of the sections, and nothing that was for machines', async t => {
  const page = cdaPage(Buffer.from(document(BODY)))
  t.match(page, '<title>Report of the chest</title>')
  t.match(page, '<h1>Report of the chest</h1>')
  t.match(page, '<h2>Findings &#38; more</h2>')
  t.match(page, '<p>A <span>round</span> lesion<br>of 3 mm &#60; 5 mm</p>')
  t.match(page, '<ol><li>first</li><li>second</li></ol>')
  t.match(page, /<table><caption>Sizes<\/caption><tbody><tr><th colspan="2">Side<\/th><\/tr><tr><td>left<\/td><td>3<\/td><\/tr><\/tbody><\/table>/)
  t.match(page, '<h3>Inner</h3>')
  t.match(page, 'plain text')
  for (const hidden of ['Nobody', '12345', 'onclick', 'javascript', 'example.org']) t.notMatch(page, hidden)
})

t.test('texts of other kinds, and what cannot be read', async t => {
  t.match(cdaPage(Buffer.from(document('<nonXMLBody><text mediaType="text/plain">Seen &amp; done</text></nonXMLBody>'))), '>Seen &#38; done</pre>')
  t.match(cdaPage(Buffer.from(`${document(BODY.replace('round', 'fünf'), '<?xml version="1.0" encoding="ISO-8859-1"?>')}`, 'latin1')), 'fünf')
  t.throws(() => cdaPage(Buffer.from(document('<nonXMLBody><text mediaType="application/pdf" representation="B64">JVBERi0=</text></nonXMLBody>').replace(/<title>.*<\/title>/, ''))), /no text/)
  t.throws(() => cdaPage(Buffer.from('<ClinicalDocument><title>cut')), Error)
})

t.test('from the DICOM object that holds it, larger than a key', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t)
  const [xml, dicom] = [join(folder, 'r.xml'), join(folder, 'r.dcm')]
  writeFileSync(xml, document(BODY.replace('plain text', 'plain text '.repeat(10_000))).replaceAll('\n', ' '))
  const made = await programs.run('cda2dcm', ['+ov', '+pn', 'A^B', '+pi', 'P1', xml, dicom])
  t.equal(made.exitCode, 0, made.stderr)
  const { path, extension } = await renderDocument(programs, DEFAULTS.dcmtk, await readObject(dicom), dicom, join(folder, 'out'), {})
  t.equal(extension, 'HTM')
  t.match(readFileSync(path, 'utf8'), /(?:plain text ){10000}/)
})
