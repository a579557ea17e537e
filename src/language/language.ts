/** The words of the pages, those of a disc and those of the service. English and Indonesian are shipped; a site's own file goes over them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorTexts } from '../errors.ts'
import { readYaml } from '../yaml.ts'

const FOLDER = join(import.meta.dirname, 'languages')

/** Text by key; `{name}` in a text is a value. */
export interface Language {
  code: string
  locale: string
  /** The text of a key with its values; keys are those of languages/en.yaml and of the error table. */
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
  const file = read(join(FOLDER, 'en.yaml'))
  if (file === undefined) throw new Error('the English language file is missing')
  const english = { ...errorTexts(), ...file }
  const shipped = read(join(FOLDER, `${code}.yaml`))
  const own = languageDir === '' ? undefined : read(join(languageDir, `${code}.yaml`))
  if (shipped === undefined && own === undefined) {
    throw new Error(`disc.language ${code}: there is no ${code}.yaml in ${languageDir === '' ? 'disc.language_dir, which is not set' : languageDir}`)
  }
  for (const key of Object.keys(own ?? {})) {
    if (!Object.hasOwn(english, key)) throw new Error(`${join(languageDir, `${code}.yaml`)}: unknown key ${key}`)
  }
  for (const [key, text] of Object.entries(own ?? {})) {
    const unknown = placeholders(text).find(name => !placeholders(english[key] ?? '').includes(name))
    if (unknown !== undefined) throw new Error(`${join(languageDir, `${code}.yaml`)}: ${key}: unknown value {${unknown}}`)
  }
  const texts: Record<string, string> = { ...english, ...shipped, ...own }
  const locale = texts['locale'] ?? 'en-GB'
  const say: Language['say'] = (key, values = {}) => {
    const text = texts[key]
    if (text === undefined) throw new Error(`the language files have no key ${key}`)
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => name in values ? String(values[name]) : whole)
  }
  const format = dateFormat(locale, own?.['locale'] === undefined ? join(FOLDER, `${code}.yaml`) : join(languageDir, `${code}.yaml`))
  const language: Language = {
    code,
    locale,
    say,
    date: dicomDate => {
      const match = /^(\d{4})\.?(\d\d)\.?(\d\d)$/.exec(dicomDate.trim())
      if (match === null) return say('no_date')
      const [, year = '', month = '', day = ''] = match
      const date = new Date(`${year}-${month}-${day}T00:00:00Z`)
      // Date makes 2 March of 31 February: a wrong date of birth is worse than none
      return Number.isNaN(date.getTime()) || date.getUTCDate() !== Number(day) ? say('no_date') : format.format(date)
    }
  }
  loaded.set(cacheKey, language)
  return language
}

function dateFormat (locale: string, file: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' })
  } catch (error) {
    throw new Error(`${file}: locale ${locale} is not a language tag such as en-GB`, { cause: error })
  }
}

/** Names of the values in a text: `{count}`. */
function placeholders (text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
}

function read (path: string): Record<string, string> | undefined {
  let text: string
  try { text = readFileSync(path, 'utf8') } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new Error(`${path}: cannot be read`, { cause: error })
  }
  const { content, faults: [fault] } = readYaml(text)
  if (fault !== undefined) throw new Error(`${path}:${fault.line}: not valid YAML: ${fault.text}`)
  if (typeof content !== 'object' || content === null || Array.isArray(content)) throw new Error(`${path}: must hold texts by key`)
  for (const [key, value] of Object.entries(content)) if (typeof value !== 'string') throw new Error(`${path}: ${key} is not a text (put it in quotes)`)
  return content as Record<string, string>
}
