/** A sender of raw messages: what no tool sends, and what every tool would mend before it is sent. */
import { connect, type Socket } from 'node:net'
import { part10 } from '../../../demo/phantoms/writer.ts'
import {
  PDU, readAssociateAccept, writeAbort, writeAssociateRequest, writeData, writeReleaseRequest, type AnsweredContext, type ProposedContext
} from '../../../src/archive/dimse/association/pdu.ts'
import { readCommandSet, type CommandSet } from '../../../src/archive/dimse/association/command-set.ts'

export const CT = '1.2.840.10008.5.1.4.1.1.2'
export const EXPLICIT = '1.2.840.10008.1.2.1'

/** What is proposed when nothing is said. */
const CT_CONTEXT: ProposedContext = { id: 1, abstractSyntax: CT, transferSyntaxes: [EXPLICIT] }

export interface ObjectOptions {
  studyInstanceUid: string
  sopInstanceUid: string
  sopClassUid?: string
  pixels?: Buffer
  patientId?: string
}

/** A data set in Explicit VR Little Endian. */
export function dataSetOf ({ studyInstanceUid, sopInstanceUid, sopClassUid = CT, pixels = Buffer.alloc(512, 7), patientId = 'P1' }: ObjectOptions): Buffer {
  const file = part10(sopClassUid, sopInstanceUid, [
    ['00080060', 'CS', 'CT'], ['00100010', 'PN', 'TEST^ONE'], ['00100020', 'LO', patientId], ['0020000d', 'UI', studyInstanceUid], ['0020000e', 'UI', `${studyInstanceUid}.1`],
    ['00280010', 'US', 16], ['00280011', 'US', 16], ['7fe00010', 'OW', pixels]
  ], text => Buffer.from(text, 'latin1'))
  return file.subarray(132 + 12 + file.readUInt32LE(140))
}

export interface StoreOptions {
  sopInstanceUid: string
  sopClassUid?: string
  contextId?: number
  moveOriginatorAeTitle?: string
  dataSet: Buffer
}

export class Sender {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #waiting: Array<() => void> = []
  closed = false
  contexts: readonly AnsweredContext[] = []
  #messageId = 1
  /** Everything that was written, one entry a write. */
  readonly written: Buffer[] = []

  constructor (port: number, host = '127.0.0.1') {
    this.socket = connect({ port, host, noDelay: true })
    const wake = (): void => {
      const waiting = this.#waiting
      this.#waiting = []
      for (const resolve of waiting) resolve()
    }
    this.socket.on('data', chunk => { this.#received = Buffer.concat([this.#received, chunk]); wake() })
    this.socket.on('error', () => {})
    this.socket.on('close', () => { this.closed = true; wake() })
  }

  /** Proposes contexts and waits for the answer. @returns the type of the PDU that came; 0 when the connection was closed */
  async associate (contexts: readonly ProposedContext[] = [CT_CONTEXT], callingAeTitle = 'SENDER'): Promise<number> {
    this.write(writeAssociateRequest({ calledAeTitle: 'CDRECORD', callingAeTitle, contexts, roles: [] }))
    const pdu = await this.nextPdu()
    if (pdu?.type === PDU.ASSOCIATE_AC) this.contexts = readAssociateAccept(pdu.body).contexts
    return pdu?.type ?? 0
  }

  /** @returns the status of the response; undefined when the connection was closed or aborted before */
  async store (options: StoreOptions): Promise<number | undefined> {
    const { contextId = 1, dataSet } = options
    this.write(...writeData(contextId, true, this.#storeRequest(options), 0), ...writeData(contextId, false, dataSet, 16_384))
    return (await this.response())?.status
  }

  /** Sends so much of an object, and no more. */
  async storePart (options: StoreOptions, bytes: number): Promise<void> {
    const { contextId = 1, dataSet } = options
    this.write(...writeData(contextId, true, this.#storeRequest(options), 0), Buffer.concat(writeData(contextId, false, dataSet, 16_384)).subarray(0, bytes))
    await new Promise(resolve => { this.socket.write('', resolve) })
  }

  /** Sends an object piece by piece, no faster than it is taken. @param body is called with what sends PDUs, after the beginning of the data set */
  async storeStream (options: StoreOptions, body: (send: (pdus: Buffer[]) => Promise<void>) => Promise<void>): Promise<number | undefined> {
    const { contextId = 1, dataSet } = options
    const [beginning = Buffer.alloc(0)] = writeData(contextId, false, dataSet, 0)
    beginning.writeUInt8(0, 11)
    this.write(...writeData(contextId, true, this.#storeRequest(options), 0), beginning)
    await body(async pdus => {
      for (const pdu of pdus) if (!this.socket.write(pdu)) await new Promise<void>(resolve => { this.socket.once('drain', resolve) })
    })
    return (await this.response())?.status
  }

  /** A C-CANCEL-RQ, which has no response. */
  cancel (contextId = 1): void {
    this.write(...writeData(contextId, true, commandSet([[0x0100, us(0x0FFF)], [0x0120, us(1)], [0x0800, us(0x0101)]]), 0))
  }

  /** Any request without a data set. */
  async command (command: number, contextId = 1, sopClassUid = CT): Promise<CommandSet | undefined> {
    this.write(...writeData(contextId, true, commandSet([[0x0002, text(sopClassUid)], [0x0100, us(command)], [0x0110, us(this.#messageId++)], [0x0800, us(0x0101)]]), 0))
    return await this.response()
  }

  async response (): Promise<CommandSet | undefined> {
    const pdu = await this.nextPdu()
    return pdu?.type === PDU.P_DATA ? readCommandSet(pdu.body.subarray(6)) : undefined
  }

  async release (): Promise<void> {
    this.write(writeReleaseRequest())
    await this.nextPdu()
    this.socket.end()
  }

  abort (): void { this.socket.end(writeAbort(false)) }

  write (...pdus: Buffer[]): void {
    for (const pdu of pdus) {
      this.written.push(pdu)
      this.socket.write(pdu)
    }
  }

  async nextPdu (): Promise<{ type: number, body: Buffer } | undefined> {
    for (;;) {
      const length = this.#received.length < 6 ? undefined : this.#received.readUInt32BE(2)
      if (length !== undefined && this.#received.length >= 6 + length) {
        const pdu = { type: this.#received.readUInt8(0), body: this.#received.subarray(6, 6 + length) }
        this.#received = this.#received.subarray(6 + length)
        return pdu
      }
      if (this.closed) return undefined
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
  }

  async end (): Promise<void> {
    while (!this.closed) await new Promise<void>(resolve => { this.#waiting.push(resolve) })
  }

  #storeRequest ({ sopInstanceUid, sopClassUid = CT, moveOriginatorAeTitle }: StoreOptions): Buffer {
    return commandSet([
      [0x0002, text(sopClassUid)], [0x0100, us(1)], [0x0110, us(this.#messageId++)], [0x0700, us(0)], [0x0800, us(1)], [0x1000, text(sopInstanceUid)],
      ...moveOriginatorAeTitle === undefined ? [] : [[0x1030, text(moveOriginatorAeTitle, ' ')] as const]
    ])
  }
}

/** With a group length that nobody needs left out. */
function commandSet (elements: ReadonlyArray<readonly [number, Buffer]>): Buffer {
  return Buffer.concat(elements.flatMap(([element, value]) => {
    const head = Buffer.alloc(8)
    head.writeUInt16LE(element, 2)
    head.writeUInt32LE(value.length, 4)
    return [head, value]
  }))
}

function us (value: number): Buffer { return Buffer.from([value & 0xFF, value >> 8]) }

function text (value: string, padding = '\0'): Buffer { return Buffer.from(value.length % 2 === 0 ? value : value + padding, 'latin1') }
