/**
 * What values are filled up with, taken away in one pass. A pattern like `/ +$/` looks at every run of blanks from each of its places: 16 KiB of them
 * within a description took half a second for each image, 256 KiB from a PACS two minutes (measured), in which nothing else runs.
 */

/** @param padding one character of it: `/[ \0]/` */
export function withoutEnd (text: string, padding: RegExp): string {
  let end = text.length
  while (end > 0 && padding.test(text.charAt(end - 1))) end--
  return text.slice(0, end)
}

/** Of a blank or a null character, as values are padded to even length (PS3.5 6.2). */
export function withoutPadding (text: string): string { return withoutEnd(text, /[ \0]/) }

/** @param padding one character of it */
export function withoutBothEnds (text: string, padding: RegExp): string {
  let start = 0
  while (start < text.length && padding.test(text.charAt(start))) start++
  return withoutEnd(text.slice(start), padding)
}
