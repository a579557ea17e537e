/**
 * An association on which we ask for objects and receive them (C-GET, PS3.4 C.4.3): we are user of the query and, by role selection, provider of
 * Storage. A question as to what an archive has (C-FIND) may be asked on it too.
 */
import { connect } from 'node:net'
import type { AssociationFault } from '../../../dcmtk/peer.ts'
import type { Log } from '../../../process.ts'
import type { StorageContext } from '../storage-classes.ts'
import { COMMAND, STATUS, writeQuery, writeResponse, type CommandSet } from './command-set.ts'
import { Connection, type ConnectionEnd } from './connection.ts'
import { readIdentifier, writeIdentifier, type Identifier } from './identifier.ts'
import type { IncomingObjects } from './incoming-objects.ts'
import type { Flow } from './object-file.ts'
import { intoReceiveBuffer } from './receive-buffer.ts'
import { CONTEXT_RESULT, MOST_CONTEXTS, PDU, ProtocolError, readAssociateAccept, readAssociateReject, writeAssociateRequest, type AssociateReject } from './pdu.ts'
import { IMPLICIT_LITTLE_ENDIAN } from './transfer-syntax.ts'

export const GET_MODEL = '1.2.840.10008.5.1.4.1.2.2.3'
export const FIND_MODEL = '1.2.840.10008.5.1.4.1.2.2.1'
/** Beside those of the two models. */
export const ROOM_FOR_STORAGE = MOST_CONTEXTS - 2

const GET_CONTEXT = 1
const FIND_CONTEXT = 3
const FIRST_STORAGE_CONTEXT = 5
/** Of one answer. */
const LONGEST_IDENTIFIER_BYTES = 8 * 1024 ** 2
const MOST_ANSWERS = 100_000

/** The association did not come about, or ended before the answer. */
export class AssociationEndedError extends Error {
  readonly fault: AssociationFault
  constructor (fault: AssociationFault) {
    super(fault.reason)
    this.name = 'AssociationEndedError'
    this.fault = fault
  }
}

export interface GetAssociationOptions {
  host: string
  port: number
  callingAeTitle: string
  calledAeTitle: string
  /** Longest wait for the connection and for the association. */
  connectTimeoutMs: number
  contexts: readonly StorageContext[]
  objectsFor: (flow: Flow, abort: (reason: string) => void) => IncomingObjects
  log: Log
}

/** The final response, with the identifier that it may have. */
export interface QueryEnd {
  response: CommandSet
  identifier: Identifier | undefined
}

interface Question {
  messageId: number
  contextId: number
  onPending: (response: CommandSet, identifier: Identifier | undefined) => void
  resolve: (end: QueryEnd) => void
  reject: (error: Error) => void
}

export class GetAssociation {
  readonly #options: GetAssociationOptions
  readonly #connection: Connection
  readonly #objects: IncomingObjects
  /** Transfer syntaxes of the storage contexts that were accepted. */
  readonly #accepted = new Map<number, string>()
  readonly #opened: Promise<void>
  #settle: { resolve: () => void, reject: (error: Error) => void } = { resolve () {}, reject () {} }
  #open = false
  #fault: AssociationFault | undefined
  #question: Question | undefined
  #nextMessageId = 1
  #command: { contextId: number, command: CommandSet } | undefined
  #identifier: Buffer[] = []
  #identifierBytes = 0
  #gone: Promise<void> = Promise.resolve()
  #onEnd = (): void => {}

  private constructor (options: GetAssociationOptions) {
    this.#options = options
    const { host, port } = options
    this.#opened = new Promise((resolve, reject) => { this.#settle = { resolve, reject } })
    this.#opened.catch(() => {})
    this.#connection = new Connection(take => {
      const socket = connect({ host, port, noDelay: true, onread: intoReceiveBuffer(take) })
      socket.once('connect', () => { this.#request() })
      return socket
    }, {
      associate: (type, body) => { this.#associated(type, body) },
      command: (contextId, command) => { this.#begin(contextId, command) },
      data: bytes => { this.#data(bytes) },
      messageEnd: async () => { await this.#messageEnd() },
      ended: end => { this.#ended(end) }
    }, options.log)
    this.#objects = options.objectsFor(this.#connection, reason => { this.#connection.abort(reason) })
  }

  /** @throws AssociationEndedError @throws the signal's reason */
  static async open (options: GetAssociationOptions, signal: AbortSignal): Promise<GetAssociation> {
    signal.throwIfAborted()
    const association = new GetAssociation(options)
    const timer = setTimeout(() => { association.#fail({ kind: 'unreachable', reason: 'no association in time' }) }, options.connectTimeoutMs).unref()
    const onAbort = (): void => { association.#connection.abort('it is not needed any more') }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await association.#opened
      return association
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  get canFind (): boolean { return this.#accepted.has(FIND_CONTEXT) }

  /**
   * Asks for objects, which go to those who want them.
   * @throws AssociationEndedError
   */
  async get (identifier: Identifier, onPending: (response: CommandSet) => void): Promise<QueryEnd> {
    return await this.#ask(COMMAND.C_GET_RQ, GET_MODEL, GET_CONTEXT, identifier, onPending)
  }

  /**
   * Asks what there is.
   * @throws AssociationEndedError
   */
  async find (identifier: Identifier): Promise<Identifier[]> {
    const answers: Identifier[] = []
    await this.#ask(COMMAND.C_FIND_RQ, FIND_MODEL, FIND_CONTEXT, identifier, (_response, answer) => {
      if (answer !== undefined && answers.length < MOST_ANSWERS) answers.push(answer)
    })
    return answers
  }

  /** Resolves when nothing of it is left. */
  async release (): Promise<void> {
    this.#connection.release()
    await new Promise<void>(resolve => {
      if (this.#fault !== undefined) resolve()
      else this.#onEnd = resolve
      setTimeout(() => { this.#connection.abort('no answer to the release') }, this.#options.connectTimeoutMs).unref()
    })
    await this.#gone
  }

  async abort (reason: string): Promise<void> {
    this.#connection.abort(reason)
    await this.#gone
  }

  async #ask (command: number, model: string, contextId: number, identifier: Identifier, onPending: Question['onPending']): Promise<QueryEnd> {
    if (this.#fault !== undefined) throw new AssociationEndedError(this.#fault)
    const messageId = this.#nextMessageId++
    return await new Promise((resolve, reject) => {
      this.#question = { messageId, contextId, onPending, resolve, reject }
      this.#connection.send(contextId, writeQuery(command, model, messageId), writeIdentifier(identifier))
    })
  }

  #request (): void {
    const { callingAeTitle, calledAeTitle, contexts } = this.#options
    this.#connection.write(writeAssociateRequest({
      callingAeTitle,
      calledAeTitle,
      contexts: [
        { id: GET_CONTEXT, abstractSyntax: GET_MODEL, transferSyntaxes: [IMPLICIT_LITTLE_ENDIAN] },
        { id: FIND_CONTEXT, abstractSyntax: FIND_MODEL, transferSyntaxes: [IMPLICIT_LITTLE_ENDIAN] },
        ...contexts.map((context, index) => ({ ...context, id: FIRST_STORAGE_CONTEXT + 2 * index }))
      ],
      roles: [...new Set(contexts.map(({ abstractSyntax }) => abstractSyntax))].map(sopClassUid => ({ sopClassUid, scu: false, scp: true }))
    }))
  }

  #associated (type: number, body: Buffer): void {
    if (this.#open) throw new ProtocolError(`a PDU of type ${type} where none is expected`)
    if (type === PDU.ASSOCIATE_RJ) {
      this.#fail(faultOf(readAssociateReject(body)))
      return
    }
    if (type !== PDU.ASSOCIATE_AC) throw new ProtocolError(`a PDU of type ${type} where none is expected`)
    const { contexts, maxPduBytes } = readAssociateAccept(body)
    for (const { id, result, transferSyntax } of contexts) if (result === CONTEXT_RESULT.accepted) this.#accepted.set(id, transferSyntax)
    if (!this.#accepted.has(GET_CONTEXT)) {
      this.#fail({ kind: 'rejected', reason: 'it does not offer the service (C-GET)' })
      return
    }
    this.#connection.peerMaxPduBytes = maxPduBytes
    this.#open = true
    this.#settle.resolve()
  }

  #begin (contextId: number, command: CommandSet): void {
    const transferSyntax = this.#accepted.get(contextId)
    if (transferSyntax === undefined) throw new ProtocolError(`a message in presentation context ${contextId}, which was not accepted`)
    this.#command = { contextId, command }
    this.#identifier = []
    this.#identifierBytes = 0
    if (command.command === COMMAND.C_STORE_RQ) this.#objects.begin(command, transferSyntax)
  }

  #data (bytes: Buffer): void {
    if (this.#command?.command.command === COMMAND.C_STORE_RQ) {
      this.#objects.data(bytes)
      return
    }
    this.#identifierBytes += bytes.length
    if (this.#identifierBytes > LONGEST_IDENTIFIER_BYTES) throw new ProtocolError('an identifier that is too long')
    this.#identifier.push(Buffer.from(bytes))
  }

  async #messageEnd (): Promise<void> {
    const message = this.#command
    this.#command = undefined
    if (message === undefined) return
    const { contextId, command } = message
    if ((command.command & COMMAND.RESPONSE) === 0) {
      const status = command.command === COMMAND.C_STORE_RQ ? await this.#objects.end() : STATUS.unrecognizedOperation
      this.#connection.send(contextId, writeResponse(command, status))
      return
    }
    const question = this.#question
    if (question === undefined || question.messageId !== command.messageId) throw new ProtocolError('a response to nothing')
    const identifier = command.hasDataSet ? readIdentifier(Buffer.concat(this.#identifier)) : undefined
    // 0xFF00 and 0xFF01 are pending (PS3.7 C.1.3)
    if (command.status !== undefined && (command.status & 0xFF00) === STATUS.pending) {
      question.onPending(command, identifier)
      return
    }
    this.#question = undefined
    question.resolve({ response: command, identifier })
  }

  /** Ends it before it came about, or after: with the reason that others are told. */
  #fail (fault: AssociationFault): void {
    this.#fault ??= fault
    this.#connection.abort(fault.reason)
  }

  #ended ({ kind, reason }: ConnectionEnd): void {
    const fault: AssociationFault = this.#fault ?? { kind: this.#open ? 'broken' : 'unreachable', reason: kind === 'released' ? 'the peer released the association' : reason }
    this.#fault = fault
    const error = new AssociationEndedError(fault)
    this.#gone = this.#objects.broken(`its association ended: ${reason}`)
    this.#gone.catch((cause: unknown) => { this.#options.log.error({ err: cause }, 'what an association left cannot be removed') })
    this.#settle.reject(error)
    this.#question?.reject(error)
    this.#onEnd()
  }
}

/** PS3.8 Table 9-21. */
function faultOf ({ result, source, reason }: AssociateReject): AssociationFault {
  if (source === 1 && reason === 7) return { kind: 'called-title-unknown', reason: 'Called AE Title Not Recognized' }
  if (source === 1 && reason === 3) return { kind: 'calling-title-unknown', reason: 'Calling AE Title Not Recognized' }
  return { kind: result === 2 ? 'busy' : 'rejected', reason: `${result === 2 ? 'temporary: ' : ''}source ${source}, reason ${reason}` }
}
