/** The language of a page: what its address says, else the browser's first choice, else the site's. */
import type { Config } from '../../config/schema.ts'
import { loadLanguage, type Language } from '../../language/language.ts'

const SHIPPED = ['en', 'id']

/**
 * @param asked of the address, `?lang=id`
 * @param accept the header Accept-Language
 */
export function chooseLanguage ({ language: site, language_dir: folder }: Pick<Config['disc'], 'language' | 'language_dir'>, asked: string | undefined, accept: string | undefined): Language {
  const known = [...SHIPPED, site]
  const first = /^\s*([a-z]{2})\b/i.exec(accept ?? '')?.[1]?.toLowerCase()
  return loadLanguage([asked, first].find(code => code !== undefined && known.includes(code)) ?? site, folder)
}
