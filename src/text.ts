/** Texts from outside, made to fit. */

/**
 * At most so many UTF-16 code units of a text, and never half of a character: what is left of a surrogate pair that was cut through has no encoding, and
 * encodeURIComponent, which a header needs, throws at it.
 */
export function cutText (text: string, most: number): string {
  if (text.length <= most) return text
  const last = text.charCodeAt(most - 1)
  return text.slice(0, last >= 0xD800 && last <= 0xDBFF ? most - 1 : most)
}
