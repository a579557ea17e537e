/** Who asks, as far as anybody can know. */
export interface Caller {
  /** The client, by its connection or by what a trusted proxy says. */
  address: string
  /** By what it came in: the name of a key, or a signed link; undefined where nothing is asked (auth.enabled). */
  credential: string | undefined
  /** The person, by the header of a trusted proxy (audit.user_header). */
  user: string | undefined
}
