/** What the command line answers to a script. */
export const EXIT = {
  ok: 0,
  /** The configuration is wrong, or this machine failed: a port, a file, a disk. */
  fault: 1,
  /** The arguments are wrong. */
  usage: 2,
  /** make: it cannot be had as asked for: no such study, two patients, a set of discs, no key. */
  refused: 3,
  /** make: PACS, receiver or service failed, another try may help. doctor: something must be changed. */
  failed: 4,
  /** Ctrl-C. */
  interrupted: 130
} as const
