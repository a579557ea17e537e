/** What the command line answers to a script. */
export const EXIT = {
  ok: 0,
  /** The configuration is wrong, or this machine failed: a port, a file, a disk. */
  fault: 1,
  /** The arguments are wrong. */
  usage: 2,
  /** doctor: something must be changed. */
  failed: 4,
  /** Ctrl-C. */
  interrupted: 130
} as const
