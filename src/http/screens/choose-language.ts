/** The language of a page: what its address says, else what the browser likes best of those that there are (RFC 9110 12.5.4), else the site's. */
import Negotiator from 'negotiator'
import type { Config } from '../../config/schema.ts'
import { loadLanguage, type Language } from '../../language/language.ts'

const SHIPPED = ['en', 'id']

/**
 * @param asked of the address, `?lang=id`
 * @param accept the header Accept-Language
 */
export function chooseLanguage ({ language: site, language_dir: folder }: Pick<Config['disc'], 'language' | 'language_dir'>, asked: string | undefined, accept: string | undefined): Language {
  const known = [...new Set([site, ...SHIPPED])]
  const liked = accept === undefined ? [] : new Negotiator({ headers: { 'accept-language': accept } }).languages(known)
  return loadLanguage([asked, ...liked].find(code => code !== undefined && known.includes(code)) ?? site, folder)
}
