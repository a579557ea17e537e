/** The words of the pages. English and Indonesian are shipped; a site's own file goes over them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const FOLDER = join(import.meta.dirname, 'languages')

/** Text by key; `{name}` in a text is a value. */
export interface Language {
  code: string
  locale: string
  /** The text of a key with its values; keys are those of languages/en.yaml. */
  say (key: string, values?: Readonly<Record<string, string | number>>): string
  /** A DICOM date for people. */
  date (dicomDate: string): string
}

const loaded = new Map<string, Language>()

/**
 * @param languageDir the site's own folder, or empty
 * @throws Error that names the file and the key
 */
export function loadLanguage (code: string, languageDir: string): Language {
  const cacheKey = `${languageDir}/${code}`
  const known = loaded.get(cacheKey)
  if (known !== undefined) return known
  const english = read(join(FOLDER, 'en.yaml'))
  if (english === undefined) throw new Error('the English language file is missing')
  const shipped = read(join(FOLDER, `${code}.yaml`))
  const own = languageDir === '' ? undefined : read(join(languageDir, `${code}.yaml`))
  if (shipped === undefined && own === undefined) {
    throw new Error(`disc.language ${code}: there is no ${code}.yaml in ${languageDir === '' ? 'disc.language_dir, which is not set' : languageDir}`)
  }
  for (const key of Object.keys(own ?? {})) {
    if (!(key in english)) throw new Error(`${join(languageDir, `${code}.yaml`)}: unknown key ${key}`)
  }
  const texts: Record<string, string> = { ...english, ...shipped, ...own }
  const locale = texts['locale'] ?? 'en-GB'
  const say: Language['say'] = (key, values = {}) => {
    const text = texts[key]
    if (text === undefined) throw new Error(`the language files have no key ${key}`)
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => name in values ? String(values[name]) : whole)
  }
  const format = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' })
  const language: Language = {
    code,
    locale,
    say,
    date: dicomDate => {
      const match = /^(\d{4})\.?(\d\d)\.?(\d\d)/.exec(dicomDate)
      return match === null ? say('no_date') : format.format(new Date(Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]))))
    }
  }
  loaded.set(cacheKey, language)
  return language
}

function read (path: string): Record<string, string> | undefined {
  let text: string
  try { text = readFileSync(path, 'utf8') } catch { return undefined }
  const content: unknown = parse(text)
  if (typeof content !== 'object' || content === null) throw new Error(`${path}: must hold texts by key`)
  for (const [key, value] of Object.entries(content)) if (typeof value !== 'string') throw new Error(`${path}: ${key} is not a text (put it in quotes)`)
  return content as Record<string, string>
}
