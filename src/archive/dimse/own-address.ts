/** Which address of this machine an archive sees, as the routes say: a UDP socket that is connected sends nothing, and knows it. */
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'

/** @returns undefined where the name is not known, or nothing leads there; in a container with published ports it is the container's own */
export async function ownAddressTowards (host: string): Promise<string | undefined> {
  const found = await lookup(host).catch(() => undefined)
  if (found === undefined) return undefined
  const socket = createSocket(found.family === 6 ? 'udp6' : 'udp4')
  try {
    return await new Promise(resolve => {
      socket.once('error', () => { resolve(undefined) })
      // the discard port; no datagram is sent
      socket.connect(9, found.address, () => { resolve(socket.address().address) })
    })
  } finally { socket.close() }
}
