/** Ctrl-C and SIGTERM as an AbortSignal, for commands that clean up behind themselves. */
import { EXIT } from './exit-codes.ts'

export interface Interrupted {
  signal: AbortSignal
  /** From here on the signals have their usual effect. */
  end (): void
}

export function interrupted (): Interrupted {
  const controller = new AbortController()
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const stop = (): void => {
    // whoever presses it a second time does not want to wait for the cleaning up
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    controller.abort(new Error('interrupted'))
  }
  for (const name of names) process.on(name, stop)
  return { signal: controller.signal, end: () => { for (const name of names) process.off(name, stop) } }
}
