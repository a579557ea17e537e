/** Receivers of this process that fall, as if the kernel had taken their listening socket away. */
import { subscribe } from 'node:diagnostics_channel'
import { Server, Socket } from 'node:net'

/** By port; known from their first connection on. */
const servers = new Map<number, Server>()

subscribe('net.server.socket', message => {
  const socket: unknown = typeof message === 'object' && message !== null ? Reflect.get(message, 'socket') : undefined
  const server: unknown = socket instanceof Socket ? Reflect.get(socket, 'server') : undefined
  if (socket instanceof Socket && socket.localPort !== undefined && server instanceof Server) servers.set(socket.localPort, server)
})

/** @returns false when none that had a connection listens on the port */
export function fell (port: number): boolean {
  const server = servers.get(port)
  if (server?.listening !== true) return false
  return server.emit('error', new Error('accept EINVAL'))
}
