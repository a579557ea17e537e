/** One line of who has had what, wherever it is remembered. */
export const HISTORY_KINDS = ['download', 'print', 'look'] as const
export const HISTORY_OUTCOMES = ['success', 'failed', 'aborted', 'unknown', 'begun'] as const

export interface HistoryEntry {
  /** ISO 8601; of the end, or of the beginning of what has no end. */
  at: string
  kind: typeof HISTORY_KINDS[number]
  /**
   * `aborted`: the client left, or it was cancelled. `begun`: there is no record of its end: it is under way, was looked at, or the service ended.
   * `unknown`: a print that somebody must look for at the robot.
   */
  outcome: typeof HISTORY_OUTCOMES[number]
  requestId: string
  activityId: string
  accessionNumbers: readonly string[]
  patients: ReadonlyArray<{ id: string, name: string }>
  studies: ReadonlyArray<{ uid: string, accessionNumber: string }>
  by: { user: string | undefined, credential: string | undefined, address: string }
  images: number | undefined
}
