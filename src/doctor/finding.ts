/** One line of `mkiso doctor`. */
export interface Finding {
  name: string
  /** `unknown`: it could not be told, and no harm is known. */
  status: 'ok' | 'warning' | 'unknown' | 'down'
  /** What was seen. */
  detail: string
  /** What to change or to try, line by line. */
  advice?: readonly string[]
}

export function ok (name: string, detail: string): Finding {
  return { name, status: 'ok', detail }
}
