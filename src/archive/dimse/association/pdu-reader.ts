/**
 * Cuts the stream of a connection into protocol data units. Fragments of data go on as the pieces in which they came from the socket, uncopied and
 * without waiting for the end of their PDU; so memory does not depend on what a peer announces. Whoever keeps a piece copies it.
 */
import { PDU, ProtocolError } from './pdu.ts'

export interface PduHandler {
  /** A whole PDU of any type but P-DATA-TF. @param body without the first six bytes */
  pdu (type: number, body: Buffer): void
  /** A piece of a message (PS3.8 E.2). @param isLast it ends the command set or data set */
  fragment (contextId: number, isCommand: boolean, bytes: Buffer, isLast: boolean): void
}

/** An A-ASSOCIATE-RQ with 128 contexts of 30 transfer syntaxes each has 260 KiB. */
const LONGEST_CONTROL_PDU_BYTES = 1024 ** 2
const HEADER_BYTES = 6

export class PduReader {
  readonly #handler: PduHandler
  /** The six bytes of a PDU's or an item's header that have come. */
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  /** Of a P-DATA-TF: bytes that are still to come of it, and of its present item. */
  #pduBytesLeft = 0
  #itemBytesLeft = 0
  #contextId = 0
  #flags = 0
  #control: { type: number, parts: Buffer[], bytesLeft: number } | undefined
  #holding = false
  /** What waits, from `#heldFrom` on: a peer may send thousands of small messages at once, and none of them is moved for another. */
  #held: Buffer[] = []
  #heldFrom = 0
  #heldBytes = 0

  constructor (handler: PduHandler) {
    this.#handler = handler
  }

  /** Bytes that wait for {@link release}. */
  get heldBytes (): number { return this.#heldBytes }

  /** Nothing more is handed on until {@link release}, though it may be pushed. */
  hold (): void { this.#holding = true }

  /** @throws ProtocolError */
  release (): void {
    this.#holding = false
    while (!this.#holding) {
      const chunk = this.#held[this.#heldFrom]
      if (chunk === undefined) {
        this.#held = []
        this.#heldFrom = 0
        return
      }
      const taken = this.#read(chunk)
      this.#heldBytes -= taken
      if (taken < chunk.length) this.#held[this.#heldFrom] = chunk.subarray(taken)
      else this.#heldFrom++
    }
  }

  /** @throws ProtocolError */
  push (chunk: Buffer): void {
    const taken = this.#holding ? 0 : this.#read(chunk)
    if (taken === chunk.length) return
    this.#held.push(Buffer.from(chunk.subarray(taken)))
    this.#heldBytes += chunk.length - taken
  }

  /** @returns how much of it has been read: less than all where the rest has to wait */
  #read (chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && !this.#holding) {
      if (this.#control !== undefined) at = this.#continueControl(this.#control, chunk, at)
      else if (this.#itemBytesLeft > 0) at = this.#continueItem(chunk, at)
      else at = this.#continueHeader(chunk, at)
    }
    return at
  }

  #continueHeader (chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerBytes, at, at + HEADER_BYTES - this.#headerBytes)
    this.#headerBytes += taken
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0
      if (this.#pduBytesLeft > 0) this.#startItem()
      else this.#startPdu()
    }
    return at + taken
  }

  #startPdu (): void {
    const type = this.#header.readUInt8(0)
    const length = this.#header.readUInt32BE(2)
    if (type < PDU.ASSOCIATE_RQ || type > PDU.ABORT) throw new ProtocolError(`a PDU of type ${type}`)
    if (type === PDU.P_DATA) {
      // its length is not held against what we announced: some peers count six bytes more, and it costs us nothing
      if (length < HEADER_BYTES) throw new ProtocolError(`a P-DATA-TF of ${length} bytes`)
      this.#pduBytesLeft = length
      return
    }
    if (length < 4 || length > LONGEST_CONTROL_PDU_BYTES) throw new ProtocolError(`a PDU of type ${type} and ${length} bytes`)
    this.#control = { type, parts: [], bytesLeft: length }
  }

  #continueControl (control: { type: number, parts: Buffer[], bytesLeft: number }, chunk: Buffer, at: number): number {
    const part = Buffer.from(chunk.subarray(at, at + control.bytesLeft))
    control.parts.push(part)
    control.bytesLeft -= part.length
    if (control.bytesLeft === 0) {
      this.#control = undefined
      this.#handler.pdu(control.type, Buffer.concat(control.parts))
    }
    return at + part.length
  }

  #startItem (): void {
    const length = this.#header.readUInt32BE(0)
    if (length < 2 || length + 4 > this.#pduBytesLeft) throw new ProtocolError(`an item of ${length} bytes where ${this.#pduBytesLeft} are left in the PDU`)
    this.#pduBytesLeft -= length + 4
    if (this.#pduBytesLeft > 0 && this.#pduBytesLeft < HEADER_BYTES) throw new ProtocolError('bytes after the last item of a PDU')
    this.#contextId = this.#header.readUInt8(4)
    this.#flags = this.#header.readUInt8(5)
    this.#itemBytesLeft = length - 2
    if (this.#itemBytesLeft === 0) this.#fragment(Buffer.alloc(0))
  }

  #continueItem (chunk: Buffer, at: number): number {
    const bytes = chunk.subarray(at, at + this.#itemBytesLeft)
    this.#itemBytesLeft -= bytes.length
    this.#fragment(bytes)
    return at + bytes.length
  }

  #fragment (bytes: Buffer): void {
    this.#handler.fragment(this.#contextId, (this.#flags & 1) !== 0, bytes, this.#itemBytesLeft === 0 && (this.#flags & 2) !== 0)
  }
}
