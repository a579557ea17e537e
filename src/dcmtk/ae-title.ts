/** Our own AE titles. */
import type { Config } from '../config/schema.ts'

/** The AE title that we call with at index `n`: `CDREC{n}` is `CDREC0`, `CDREC1` ...; a title without `{n}` is the same for all. */
export function aeTitleAt (config: Config, n: number): string {
  return config.our_ae.ae_title.replaceAll('{n}', String(n))
}
