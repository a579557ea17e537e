/**
 * Bytes of a connection without a buffer for each read. Node allots 64 KiB for every read of a socket; at 300 MB/s that is a full collection of the
 * heap every few hundred milliseconds, a third of the time of receiving and 40 MiB of memory (measured). With `onread` every read goes into one
 * buffer that is ours, which all connections share: it is empty again before the next one reads.
 */
import { Socket, type OnReadOpts } from 'node:net'

/** As much as a loopback socket gives at once. */
const RECEIVE_BYTES = 256 * 1024
const receiveBuffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES)

/** For net.connect. @param take is given bytes that are there only until it returns */
export function intoReceiveBuffer (take: (bytes: Buffer) => void): OnReadOpts {
  return {
    buffer: receiveBuffer,
    callback: length => {
      take(receiveBuffer.subarray(0, length))
      return true
    }
  }
}

/**
 * A connection that a server has accepted, and not read from (`pauseOnConnect`): read into our buffer. Node offers `onread` only to who connects; so the
 * handle changes its owner, as it does when a socket is sent to another process.
 * @returns the socket that the connection has from now on
 */
export function takeOver (accepted: Socket, take: (bytes: Buffer) => void): Socket {
  if (!hasHandle(accepted)) {
    accepted.on('data', take)
    return accepted
  }
  const options = { handle: accepted._handle, allowHalfOpen: false, manualStart: true, onread: intoReceiveBuffer(take) }
  const socket = new Socket(options)
  accepted._handle = null
  return socket
}

/** A TLS socket has what it decrypts in buffers of its own. */
function hasHandle (socket: Socket): socket is Socket & { _handle: unknown } {
  return socket.constructor === Socket && '_handle' in socket && typeof socket._handle === 'object' && socket._handle !== null
}
