/** C-ECHO (PS3.4 A, Verification) as its user, on a connection that is there: whether somebody who speaks DICOM answers. */
import type { Socket } from 'node:net'
import type { Log } from '../../../process.ts'
import { STATUS, writeEcho } from './command-set.ts'
import { Connection } from './connection.ts'
import { CONTEXT_RESULT, PDU, readAssociateAccept, writeAssociateRequest } from './pdu.ts'
import { VERIFICATION } from './transfer-syntax.ts'

/** It speaks, and has no room for one more. */
export const NO_ROOM = 'it rejects the association'

const CONTEXT_ID = 1
const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'

/** @returns why there was no answer that is success; undefined when there was. Resolves when the association is over. */
export async function echo (socket: Socket, titles: { callingAeTitle: string, calledAeTitle: string }, timeoutMs: number, log: Log): Promise<string | undefined> {
  return await new Promise(resolve => {
    let fault: string | undefined = 'the association ended without an answer'
    const connection = new Connection(take => socket.on('data', take), {
      associate: (type, body) => {
        if (type === PDU.ASSOCIATE_RJ) fault = NO_ROOM
        const accepted = type === PDU.ASSOCIATE_AC ? readAssociateAccept(body) : undefined
        if (accepted?.contexts.some(({ id, result }) => id === CONTEXT_ID && result === CONTEXT_RESULT.accepted) !== true) {
          connection.abort('no context')
          return
        }
        connection.peerMaxPduBytes = accepted.maxPduBytes
        connection.send(CONTEXT_ID, writeEcho(VERIFICATION, 1))
      },
      command: (_contextId, { status }) => {
        fault = status === STATUS.success ? undefined : `it answers C-ECHO with status ${status ?? 'none'}`
        connection.release()
      },
      data: () => {},
      messageEnd: async () => {},
      ended: ({ reason }) => {
        clearTimeout(timer)
        resolve(fault === 'the association ended without an answer' && reason !== '' ? `${fault}: ${reason}` : fault)
      }
    }, log)
    const timer = setTimeout(() => {
      fault = `no answer to C-ECHO within ${timeoutMs / 1_000} s`
      connection.abort(fault)
    }, timeoutMs).unref()
    connection.write(writeAssociateRequest({ ...titles, contexts: [{ id: CONTEXT_ID, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT_LITTLE_ENDIAN] }], roles: [] }))
  })
}
