/** Medians, ratios, tables. */

export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2
}

/** The median of the ratios of pairs that were measured in the same round. */
export function ratios (pairs: ReadonlyArray<readonly [number | undefined, number | undefined]>): number {
  return median(pairs.flatMap(([value, to]) => value === undefined || to === undefined ? [] : [value / to]))
}

/** A table in Markdown. */
export function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.map(cell => cell === 'NaN' ? '–' : cell).join(' | ')} |`)
}
