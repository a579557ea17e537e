/** A name that was typed in part. */

/** Of a name, or of what was typed of one. */
export function wordsOf (name: string): string[] {
  return name.split(/[\s,^=]+/).filter(word => word !== '')
}

/** Each word that was typed is the beginning of one of the name, without regard to case. */
export function isNamed (name: string, typed: string): boolean {
  const own = wordsOf(name.toUpperCase())
  return wordsOf(typed.toUpperCase()).every(word => own.some(one => one.startsWith(word)))
}
