/** README.TXT (IHE RAD TF-3 4.47.4.1.2.3): lines of text, as a program that knows nothing of templates writes them. */
import type { DiscContents } from '../contents.ts'
import type { Config } from '../../config/schema.ts'
import type { Language } from '../../language/language.ts'

export interface ReadmeInput {
  language: Language
  disc: Config['disc']
  set: Pick<DiscContents, 'disc' | 'discs' | 'part'>
  /** undefined where nobody can tell. */
  missing: number | undefined
  /** Names of optional archives that did not answer. */
  silent: readonly string[]
  /** A line for each earlier study that is not here; an empty one where it is not known which there are. */
  priorsLeftOut: readonly string[]
  patients: ReadonlyArray<{
    name: string
    patient: { patientId: string, birthDate: string }
    studies: ReadonlyArray<{
      prior: boolean
      date: string
      description: string
      accessionNumber: string
      series: ReadonlyArray<{ modality: string, description: string, number: string, count: number }>
    }>
  }>
  counts: { patients: number, studies: number, images: number }
  profile: string | undefined
  notListed: ReadonlyArray<{ fileId: string, reason: string }>
  viewer: { folder: string, program: string } | undefined
  product: { name: string, version: string }
  today: string
}

/** Where a text editor does not wrap. */
const LINE_CHARACTERS = 78

/** Lines end with CR LF: Notepad before 2018 knows no other. */
export function readmeText (input: ReadmeInput): string {
  const { language, disc, set, missing, silent, priorsLeftOut, patients, counts, profile, notListed, viewer, product, today } = input
  const say = language.say
  const paragraphs: string[][] = [
    [disc.institution || say('title')],
    set.discs > 1 ? [`${say('disc_of', { disc: set.disc, discs: set.discs })}. ${say('set_note', { discs: set.discs })}`] : [],
    disc.contact === '' ? [] : [`${say('contact')}: ${disc.contact}`],
    silent.length === 0 ? [] : [`*** ${say('archive_silent', { names: silent.join(', ') })} ***`],
    missing === 0 ? [] : [`*** ${missing === undefined ? say('missing_unknown') : say('missing', { count: missing })} ***`],
    set.part === undefined ? [] : [`*** ${say('part_note', { ...set.part })} ***`],
    priorsLeftOut.length === 0 ? [] : [`*** ${say('priors_left_out')} ***`, ...priorsLeftOut.filter(line => line !== '').map(line => `  ${line}`)],
    [say('contents')],
    ...patients.map(({ name, patient, studies }) => [
      `${say('patient')}: ${name || say('no_name')}, ${say('patient_id')} ${patient.patientId || '-'}, ${say('birth_date')} ${language.date(patient.birthDate)}`,
      ...studies.flatMap(study => [
        `  ${study.prior ? `${say('prior')}: ` : ''}${study.date}, ${study.description || say('study')}, ${say('accession_number')} ${study.accessionNumber}`,
        ...study.series.map(series => `    ${series.modality} ${series.description || `${say('series')} ${series.number}`}, ${say('images')}: ${series.count}`)
      ])
    ]),
    [say('total', counts), ...(profile === undefined ? [] : [say('profile', { profile })])],
    notListed.length === 0 ? [] : [say('not_listed'), ...notListed.map(({ fileId, reason }) => `  ${fileId} (${reason})`)],
    [say('how_to')],
    [
      `- ${say('how_web')}`,
      ...(viewer === undefined ? [] : [`- ${say('how_windows_viewer', { folder: viewer.folder })} ${viewer.program === '' ? '' : say('viewer_start', { program: viewer.program })}`.trimEnd()]),
      ...['how_windows', 'how_macos', 'how_linux', 'how_hospital'].map(key => `- ${say(key)}`)
    ],
    [say('not_diagnostic')],
    [say('disclaimer_title')],
    [disc.disclaimer || say('disclaimer')],
    disc.privacy_note === '' ? [] : [`${say('privacy')}: ${disc.privacy_note}`],
    [say('made_by', { product: product.name, version: product.version, date: today })]
  ]
  return `${paragraphs.filter(lines => lines.length > 0).map(lines => lines.flatMap(wrapped).join('\r\n')).join('\r\n\r\n')}\r\n`
}

/** A line that is too long goes on below, as far in as it began. What the site has written on several lines stays so. */
function wrapped (text: string): string[] {
  return text.split(/\r?\n/).flatMap(line => {
    const indent = /^ *(?:- )?/.exec(line)?.[0].length ?? 0
    const lines: string[] = []
    let rest = line
    while (rest.length > LINE_CHARACTERS) {
      const at = rest.lastIndexOf(' ', LINE_CHARACTERS)
      if (at <= indent) break
      lines.push(rest.slice(0, at))
      rest = ' '.repeat(indent) + rest.slice(at + 1)
    }
    return [...lines, rest]
  })
}
