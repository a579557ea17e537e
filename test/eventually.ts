/** Waiting in tests: for a condition, and never for a time. */
import { until } from '../src/process.ts'

/** What must come has so long, on a machine that does ten other things too. Only what never comes takes it. */
export const PATIENCE_MS = 60_000

/** Waits until what must come has come; false when it never came. */
export async function eventually (condition: () => boolean | Promise<boolean>, everyMs?: number): Promise<boolean> {
  return await until(condition, PATIENCE_MS, everyMs)
}
