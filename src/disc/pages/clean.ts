/** What came from a PACS may hold control characters, which would forge a line of README.TXT. */
export function clean (text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}
