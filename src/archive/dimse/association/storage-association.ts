/** One association that a peer has opened to us: its negotiation, and the messages on it. We are provider of Storage and Verification. */
import type { Socket } from 'node:net'
import type { Log } from '../../../process.ts'
import { COMMAND, STATUS, writeResponse, type CommandSet } from './command-set.ts'
import { Connection, type ConnectionEnd } from './connection.ts'
import type { IncomingObjects } from './incoming-objects.ts'
import {
  CONTEXT_RESULT, PDU, ProtocolError, readAssociateRequest, REJECT, writeAssociateAccept, writeAssociateReject, type AnsweredContext, type AssociateRequest, type ProposedContext
} from './pdu.ts'
import { bestTransferSyntax, isStorageClass, VERIFICATION } from './transfer-syntax.ts'
import type { Flow } from './object-file.ts'

export interface StorageAssociationOptions {
  log: Log
  /** Longest wait for the A-ASSOCIATE-RQ. */
  associationTimeoutMs: number
  /** Longest silence of the peer afterwards. */
  idleTimeoutMs: number
  /** False when there are as many associations as may be. */
  admit: () => boolean
  objectsFor: (request: AssociateRequest, flow: Flow, abort: (reason: string) => void) => IncomingObjects
  /** The association is over, and nothing of it is left. */
  onEnd: () => void
}

interface AcceptedContext {
  abstractSyntax: string
  transferSyntax: string
}

export class StorageAssociation {
  readonly #options: StorageAssociationOptions
  readonly #connection: Connection
  readonly #contexts = new Map<number, AcceptedContext>()
  readonly #begins: NodeJS.Timeout
  #request: AssociateRequest | undefined
  #objects: IncomingObjects | undefined
  /** The message under way. */
  #message: { contextId: number, command: CommandSet, isStore: boolean } | undefined

  /** @param open as {@link Connection}'s */
  constructor (open: (take: (bytes: Buffer) => void) => Socket, options: StorageAssociationOptions) {
    this.#options = options
    this.#connection = new Connection(open, {
      associate: (type, body) => { this.#associate(type, body) },
      command: (contextId, command) => { this.#command(contextId, command) },
      data: bytes => { if (this.#message?.isStore === true) this.#objects?.data(bytes) },
      messageEnd: async () => { await this.#messageEnd() },
      ended: end => { this.#ended(end) }
    }, options.log)
    this.#begins = setTimeout(() => { this.#connection.abort('no A-ASSOCIATE-RQ in time') }, options.associationTimeoutMs).unref()
  }

  /** It has said who it is and what it wants. */
  get established (): boolean { return this.#objects !== undefined }

  /** Nothing that anybody wanted has come on it, nor is anything of the kind coming. */
  get idle (): boolean { return this.#objects?.bringsWanted !== true }

  get over (): boolean { return this.#connection.over }

  hasDelivered (studyInstanceUid: string): boolean { return this.#objects?.hasDelivered(studyInstanceUid) === true }

  abort (reason: string): void { this.#connection.abort(reason) }

  /** As {@link Connection.drop}. */
  drop (reason: string): void { this.#connection.drop(reason) }

  #associate (type: number, body: Buffer): void {
    if (type !== PDU.ASSOCIATE_RQ || this.#request !== undefined) throw new ProtocolError(`a PDU of type ${type} where none is expected`)
    const request = readAssociateRequest(body)
    const rejection = 'result' in request ? request : this.#options.admit() ? undefined : REJECT.localLimit
    if ('result' in request || rejection !== undefined) {
      this.#connection.endWith(writeAssociateReject(rejection ?? REJECT.localLimit), rejection === REJECT.localLimit ? 'there are too many associations' : 'the association was rejected')
      return
    }
    clearTimeout(this.#begins)
    this.#request = request
    const contexts = request.contexts.map(answerOf)
    for (const [index, { id, result, transferSyntax }] of contexts.entries()) {
      const proposed = request.contexts[index]
      if (proposed !== undefined && result === CONTEXT_RESULT.accepted) this.#contexts.set(id, { abstractSyntax: proposed.abstractSyntax, transferSyntax })
    }
    this.#connection.peerMaxPduBytes = request.maxPduBytes
    this.#connection.limitSilence(this.#options.idleTimeoutMs)
    this.#objects = this.#options.objectsFor(request, this.#connection, reason => { this.#connection.abort(reason) })
    // we are the provider, and never the user, of what we accept
    this.#connection.write(writeAssociateAccept(request, { contexts, roles: request.roles.map(({ sopClassUid, scu }) => ({ sopClassUid, scu, scp: false })) }))
  }

  #command (contextId: number, command: CommandSet): void {
    const context = this.#contexts.get(contextId)
    if (context === undefined) throw new ProtocolError(`a message in presentation context ${contextId}, which was not accepted`)
    const isStore = command.command === COMMAND.C_STORE_RQ && context.abstractSyntax !== VERIFICATION
    this.#message = { contextId, command, isStore }
    if (isStore) this.#objects?.begin(command, context.transferSyntax)
  }

  async #messageEnd (): Promise<void> {
    const message = this.#message
    this.#message = undefined
    // a cancel has no response of its own (PS3.7 9.3.2.3), and a response answers nothing that we asked
    if (message === undefined || message.command.command === COMMAND.C_CANCEL_RQ || (message.command.command & COMMAND.RESPONSE) !== 0) return
    this.#connection.send(message.contextId, writeResponse(message.command, await this.#statusOf(message)))
  }

  async #statusOf ({ command, isStore }: { command: CommandSet, isStore: boolean }): Promise<number> {
    if (isStore) return await this.#objects?.end() ?? STATUS.processingFailure
    if (command.command === COMMAND.C_STORE_RQ) return STATUS.sopClassNotSupported
    return command.command === COMMAND.C_ECHO_RQ ? STATUS.success : STATUS.unrecognizedOperation
  }

  #ended ({ kind, reason }: ConnectionEnd): void {
    clearTimeout(this.#begins)
    if (kind !== 'released') this.#options.log.debug({ calling_ae_title: this.#request?.callingAeTitle, end: kind, reason }, 'an association to the receiver ended')
    const broken = this.#objects?.broken(`its association ended: ${reason}`) ?? Promise.resolve()
    broken.catch((error: unknown) => { this.#options.log.error({ err: error }, 'what an association left cannot be removed') }).finally(this.#options.onEnd)
  }
}

function answerOf ({ id, abstractSyntax, transferSyntaxes }: ProposedContext): AnsweredContext {
  if (abstractSyntax !== VERIFICATION && !isStorageClass(abstractSyntax)) return { id, result: CONTEXT_RESULT.abstractSyntaxNotSupported, transferSyntax: transferSyntaxes[0] ?? '' }
  const transferSyntax = bestTransferSyntax(transferSyntaxes)
  if (transferSyntax === undefined) return { id, result: CONTEXT_RESULT.transferSyntaxesNotSupported, transferSyntax: transferSyntaxes[0] ?? '' }
  return { id, result: CONTEXT_RESULT.accepted, transferSyntax }
}
