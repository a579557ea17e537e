/**
 * One TCP connection that carries an association, whichever side opened it: PDUs become messages, messages become PDUs. Rubbish from the peer ends
 * in an A-ABORT and a closed connection; no exception of this code leaves it.
 */
import type { Socket } from 'node:net'
import type { Log } from '../../../process.ts'
import { LONGEST_COMMAND_SET_BYTES, readCommandSet, type CommandSet } from './command-set.ts'
import { PDU, ProtocolError, writeAbort, writeData, writeReleaseRequest, writeReleaseResponse } from './pdu.ts'
import { PduReader } from './pdu-reader.ts'

/** What the user of a connection is told. */
export interface ConnectionHandler {
  /** An A-ASSOCIATE-RQ, -AC or -RJ. @throws ProtocolError for one that has no place here */
  associate (type: number, body: Buffer): void
  /** A command set is whole. Its data set follows when it has one. */
  command (contextId: number, command: CommandSet): void
  /** A piece of the data set of the last command. The bytes are there only until this returns. */
  data (bytes: Buffer): void
  /** The message is whole: nothing more is handed on until the promise resolves. @throws never */
  messageEnd (): Promise<void>
  /** The association is over, once. */
  ended (end: ConnectionEnd): void
}

/** `released` is the only good end. */
export interface ConnectionEnd {
  kind: 'released' | 'aborted by the peer' | 'lost' | 'aborted by us'
  reason: string
}

/** While so much waits for a message to be worked off, the peer is not read. A peer that keeps to the protocol sends nothing then. */
const MOST_HELD_BYTES = 1024 ** 2
/** A connection whose peer does not close it after the end of the association is destroyed (the ARTIM timer of PS3.8 9.1.5). */
const CLOSING_MS = 1_000

export class Connection {
  readonly #socket: Socket
  readonly #handler: ConnectionHandler
  readonly #log: Log
  readonly #reader: PduReader
  #over = false
  #commandParts: Buffer[] = []
  #commandBytes = 0
  /** The message under way: its context once its first fragment is there, and whether its data set is what comes now. */
  #contextId: number | undefined
  #inDataSet = false
  #working = false
  #paused = false
  /** What the peer takes. */
  peerMaxPduBytes = 0

  /** @param open gives the connection, and its bytes to what it is given, which are there only until that returns */
  constructor (open: (take: (bytes: Buffer) => void) => Socket, handler: ConnectionHandler, log: Log) {
    const socket = this.#socket = open(bytes => { this.#data(bytes) })
    this.#handler = handler
    this.#log = log
    this.#reader = new PduReader({
      pdu: (type, body) => { this.#pdu(type, body) },
      fragment: (contextId, isCommand, bytes, isLast) => { this.#fragment(contextId, isCommand, bytes, isLast) }
    })
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    socket.on('timeout', () => { this.#silent() })
    socket.on('error', error => { this.#end({ kind: 'lost', reason: error.message }) })
    socket.on('close', () => { this.#end({ kind: 'lost', reason: 'the connection was closed' }) })
    // what a server hands over is not read yet
    socket.resume()
  }

  get over (): boolean { return this.#over }

  /** Ends the association after so long a silence of the peer, in milliseconds; our own work does not count. */
  limitSilence (idleTimeoutMs: number): void {
    this.#socket.setTimeout(idleTimeoutMs)
  }

  write (...pdus: Buffer[]): void {
    if (this.#over) return
    if (pdus.length > 1) this.#socket.cork()
    for (const pdu of pdus) this.#socket.write(pdu)
    if (pdus.length > 1) this.#socket.uncork()
  }

  /** Sends a message: a command set, and its data set where there is one. */
  send (contextId: number, command: Buffer, dataSet?: Buffer): void {
    this.write(...writeData(contextId, true, command, this.peerMaxPduBytes), ...dataSet === undefined ? [] : writeData(contextId, false, dataSet, this.peerMaxPduBytes))
  }

  /** The peer is not read until {@link resume}: the disk is slower than it. */
  pause (): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume (): void {
    this.#paused = false
    if (!this.#over && this.#reader.heldBytes < MOST_HELD_BYTES) this.#socket.resume()
  }

  /** @param byProvider the peer has broken the protocol */
  abort (reason: string, byProvider = false): void {
    this.#end({ kind: 'aborted by us', reason }, writeAbort(byProvider))
  }

  /** As {@link abort}, and does not wait for the peer to close the connection: there are too many. */
  drop (reason: string): void {
    this.abort(reason)
    this.#socket.destroySoon()
  }

  /** The last PDU, a rejection of the association say; then the connection is closed. */
  endWith (pdu: Buffer, reason: string): void {
    this.#end({ kind: 'aborted by us', reason }, pdu)
  }

  /** Asks the peer for the release of the association; {@link ConnectionHandler.ended} follows. */
  release (): void {
    this.write(writeReleaseRequest())
  }

  #data (bytes: Buffer): void {
    if (this.#over) return
    try {
      this.#reader.push(bytes)
    } catch (error) {
      this.#failed(error)
    }
    if (this.#working && this.#reader.heldBytes > MOST_HELD_BYTES) this.#socket.pause()
  }

  #failed (error: unknown): void {
    if (!(error instanceof ProtocolError)) this.#log.error({ err: error }, 'an association failed in a way that nobody foresaw')
    this.abort(error instanceof Error ? error.message : String(error), true)
  }

  #pdu (type: number, body: Buffer): void {
    if (this.#over) return
    switch (type) {
      case PDU.RELEASE_RQ:
        if (this.#contextId !== undefined) throw new ProtocolError('a release in the middle of a message')
        this.#end({ kind: 'released', reason: '' }, writeReleaseResponse())
        return
      case PDU.RELEASE_RP:
        this.#end({ kind: 'released', reason: '' })
        return
      case PDU.ABORT:
        this.#end({ kind: 'aborted by the peer', reason: `the peer aborted the association (source ${body.readUInt8(2)}, reason ${body.readUInt8(3)})` })
        return
      default: this.#handler.associate(type, body)
    }
  }

  #fragment (contextId: number, isCommand: boolean, bytes: Buffer, isLast: boolean): void {
    if (this.#over) return
    if (this.#contextId !== undefined && this.#contextId !== contextId) throw new ProtocolError('a message in two presentation contexts')
    if (isCommand === this.#inDataSet) throw new ProtocolError(isCommand ? 'a command in the middle of a data set' : 'a data set without a command')
    this.#contextId = contextId
    if (!isCommand) {
      this.#handler.data(bytes)
      if (isLast) this.#messageEnd()
      return
    }
    this.#commandBytes += bytes.length
    if (this.#commandBytes > LONGEST_COMMAND_SET_BYTES) throw new ProtocolError('a command set that is too long')
    this.#commandParts.push(Buffer.from(bytes))
    if (!isLast) return
    const command = readCommandSet(Buffer.concat(this.#commandParts))
    this.#commandParts = []
    this.#commandBytes = 0
    this.#inDataSet = command.hasDataSet
    this.#handler.command(contextId, command)
    if (!command.hasDataSet) this.#messageEnd()
  }

  #messageEnd (): void {
    this.#inDataSet = false
    this.#contextId = undefined
    this.#working = true
    this.#reader.hold()
    this.#handler.messageEnd().catch((error: unknown) => { this.#failed(error) }).finally(() => {
      this.#working = false
      if (this.#over) return
      try {
        this.#reader.release()
      } catch (error) {
        this.#failed(error)
      }
      if (!this.#paused && !this.#over) this.#socket.resume()
    })
  }

  #silent (): void {
    // it is we who are slow: the timer of a socket runs once, so that it has to be set again
    if (this.#working || this.#paused) this.#socket.setTimeout(this.#socket.timeout ?? 0)
    else this.abort('the peer was silent for too long')
  }

  #end (end: ConnectionEnd, lastPdu?: Buffer): void {
    if (this.#over) return
    this.#over = true
    this.#socket.setTimeout(0)
    if (lastPdu === undefined) this.#socket.end()
    else this.#socket.end(lastPdu)
    // what it still sends is thrown away, so that its close is seen
    this.#socket.resume()
    const timer = setTimeout(() => { this.#socket.destroy() }, CLOSING_MS).unref()
    if (this.#socket.closed) clearTimeout(timer)
    else this.#socket.once('close', () => { clearTimeout(timer) })
    this.#handler.ended(end)
  }
}
