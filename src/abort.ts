/** Nobody is left to be told. */
export class ClientGoneError extends Error {
  constructor () {
    super('the client has left')
    this.name = 'ClientGoneError'
  }
}

/**
 * Waits for work that goes on by itself, as long as the signal allows.
 * @throws the signal's reason
 */
export async function abortable<T> (work: Promise<T>, signal: AbortSignal): Promise<T> {
  // whoever leaves must not turn a later failure into an unhandled one
  work.catch(() => {})
  signal.throwIfAborted()
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => { reject(signal.reason as Error) }
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
