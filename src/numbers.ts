/** The largest and smallest of any number of numbers: as arguments of Math.max they stand on the stack, which 125,000 of them do not fit on (RangeError). */

/** @param least what there is without any */
export function largestOf (numbers: Iterable<number>, least: number): number {
  let largest = least
  for (const number of numbers) if (number > largest) largest = number
  return largest
}
