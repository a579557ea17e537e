/** A PACS that answers C-FIND without end, faster than a library for tests could: the messages are put together here. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { COMMAND, writeResponse, type CommandSet } from '../../src/archive/dimse/association/command-set.ts'
import { Connection } from '../../src/archive/dimse/association/connection.ts'
import { readIdentifier, TAG, writeIdentifier } from '../../src/archive/dimse/association/identifier.ts'
import { CONTEXT_RESULT, readAssociateRequest, writeAssociateAccept, writeData } from '../../src/archive/dimse/association/pdu.ts'
import { silentLog } from '../../src/process.ts'

export type Level = 'STUDY' | 'SERIES' | 'IMAGE'
export type Answer = Map<number, string>

/** The answers to a query, one at a time. */
export type Flood = (level: Level, keys: ReadonlyMap<number, string>) => Iterable<Answer>

export interface FloodingPacs {
  aeTitle: string
  host: string
  port: number
  /** What it answers from now on. */
  flood: Flood
  /** Waited for before each answer. */
  before: () => Promise<void>
  /** Answers that it has sent. */
  sent: number
  close (): Promise<void>
}

const FIND = '1.2.840.10008.5.1.4.1.2.2.1'
const IMPLICIT = '1.2.840.10008.1.2'
const ANSWERS_AT_ONCE = 500
const PENDING = 0xFF00

export async function startFloodingPacs (): Promise<FloodingPacs> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.once('close', () => { sockets.delete(socket) })
    answer(pacs, socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const pacs: FloodingPacs = {
    aeTitle: 'FLOOD',
    host: '127.0.0.1',
    port: typeof address === 'object' && address !== null ? address.port : 0,
    flood: () => [],
    before: async () => {},
    sent: 0,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => { server.close(resolve) })
    }
  }
  return pacs
}

function answer (pacs: FloodingPacs, socket: Socket): void {
  let context = 0
  let query: CommandSet | undefined
  let parts: Buffer[] = []
  const connection = new Connection(take => socket.on('data', take), {
    associate: (_, body) => {
      const request = readAssociateRequest(body)
      if ('result' in request) throw new Error('a request that cannot be taken')
      connection.write(writeAssociateAccept(request, {
        contexts: request.contexts.map(({ id, abstractSyntax }) =>
          ({ id, result: abstractSyntax === FIND ? CONTEXT_RESULT.accepted : CONTEXT_RESULT.abstractSyntaxNotSupported, transferSyntax: IMPLICIT })),
        roles: []
      }))
    },
    command: (contextId, command) => {
      context = contextId
      query = command
      parts = []
    },
    data: bytes => { parts.push(Buffer.from(bytes)) },
    messageEnd: async () => {
      if (query?.command !== COMMAND.C_FIND_RQ) return
      await pacs.before()
      const keys = readIdentifier(Buffer.concat(parts))
      const pending = writeData(context, true, pendingResponse(query), 0)
      let waiting: Buffer[] = []
      const flush = async (): Promise<void> => {
        const written = socket.write(Buffer.concat(waiting))
        pacs.sent += waiting.length
        waiting = []
        if (!written && !socket.destroyed) await drained(socket)
      }
      for (const one of pacs.flood(levelOf(keys), keys)) {
        if (socket.destroyed) return
        if (waiting.push(Buffer.concat([...pending, ...writeData(context, false, writeIdentifier(one), 0)])) >= ANSWERS_AT_ONCE) await flush()
      }
      await flush()
      connection.send(context, writeResponse(query, 0))
    },
    ended: () => {}
  }, silentLog)
}

/** Waits until it can take more, or nothing any more; leaves no listener behind. */
async function drained (socket: Socket): Promise<void> {
  const waiting = new AbortController()
  try {
    await Promise.race(['drain', 'close'].map(async event => await once(socket, event, { signal: waiting.signal })))
  } finally { waiting.abort() }
}

function levelOf (keys: ReadonlyMap<number, string>): Level {
  const level = keys.get(TAG.QUERY_LEVEL)
  if (level !== 'STUDY' && level !== 'SERIES' && level !== 'IMAGE') throw new Error(`a query at ${level ?? 'no'} level`)
  return level
}

/** A data set follows: Command Data Set Type (0000,0800) is anything but 0x0101. */
function pendingResponse (query: CommandSet): Buffer {
  const response = writeResponse(query, PENDING)
  const type = response.indexOf(Buffer.from([0, 0, 0, 8, 2, 0, 0, 0, 1, 1]))
  response.writeUInt16LE(1, type + 8)
  return response
}
