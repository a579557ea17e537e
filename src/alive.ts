/**
 * A sign of life in a folder: a socket that its owner holds for as long as it lives. Unlike a process id it cannot be mistaken after a restart, nor from
 * within another container that shares the volume; unlike an age it does not depend on anybody's clock.
 */
import { chmodSync, closeSync, openSync } from 'node:fs'
import { connect, createServer } from 'node:net'

export const SOCKET = 'alive'

/** Held for as long as this process lives. @returns the way to end it */
export type Alive = () => Promise<void>

/** A short name for the socket in an open folder, since the path of one has at most 107 bytes (unix(7)). */
function socketIn (folder: number): string {
  return `/proc/self/fd/${folder}/${SOCKET}`
}

/** @throws Error of the file system, for one that has no sockets too */
export async function listenIn (path: string): Promise<Alive> {
  // open until the end: the socket is removed by this name
  const folder = openSync(path, 'r')
  const server = createServer(client => { client.destroy() })
  server.unref()
  try {
    await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(socketIn(folder), resolve) })
    chmodSync(socketIn(folder), 0o600)
  } catch (error) {
    closeSync(folder)
    throw error
  }
  return async () => {
    await new Promise<void>(resolve => { server.close(() => { resolve() }) })
    closeSync(folder)
  }
}

/** `ended`: nobody holds its socket, as far as this machine knows. `none`: there is no socket. */
export type SignOfLife = 'alive' | 'ended' | 'none'

/** @throws Error of the file system */
export async function signOfLife (path: string): Promise<SignOfLife> {
  const folder = openSync(path, 'r')
  try {
    return await new Promise((resolve, reject) => {
      const socket = connect(socketIn(folder))
      socket.once('connect', () => {
        socket.destroy()
        resolve('alive')
      })
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED') resolve('ended')
        else if (error.code === 'ENOENT') resolve('none')
        // more wait than it takes: it is stopped (SIGSTOP), and there
        else if (error.code === 'EAGAIN') resolve('alive')
        else reject(error)
      })
    })
  } finally {
    closeSync(folder)
  }
}
