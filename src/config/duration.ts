/** Durations and sizes as an operator writes them: `300s`, `10m`, `1h30m`, `500ms` (Go's form, which the original configuration uses). */

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/

/** @returns milliseconds, or undefined when the text is not a duration */
export function parseDurationMs (text: string): number | undefined {
  if (text === '0') return 0
  if (!DURATION.test(text)) return undefined
  let totalMs = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0)
  return Math.round(totalMs)
}

const UNIT_BYTES: Record<string, number> = { '': 1, k: 1_024, m: 1_024 ** 2, g: 1_024 ** 3, t: 1_024 ** 4 }

/** @returns bytes (`500M`, `20G`; binary multiples), or undefined when the text is not a size */
export function parseSizeBytes (text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text)
  if (match === null) return undefined
  return Math.round(Number(match[1]) * (UNIT_BYTES[(match[2] ?? '').toLowerCase()] ?? 1))
}
