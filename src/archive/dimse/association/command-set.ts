/** The command set of a DIMSE message (PS3.7 6.3, E): elements of group 0000, always Implicit VR Little Endian. */
import { withoutPadding } from '../../../dicom/padding.ts'
import { ProtocolError } from './pdu.ts'

/** Command Field (0000,0100), PS3.7 E.1. The response to a request has 0x8000 added. */
export const COMMAND = { C_STORE_RQ: 0x0001, C_GET_RQ: 0x0010, C_FIND_RQ: 0x0020, C_ECHO_RQ: 0x0030, C_CANCEL_RQ: 0x0FFF, RESPONSE: 0x8000 } as const

/** Status (0000,0900), PS3.7 C and PS3.4 B.2.3. */
export const STATUS = {
  success: 0x0000, processingFailure: 0x0110, sopClassNotSupported: 0x0122, notAuthorised: 0x0124, invalidInstance: 0x0117, unrecognizedOperation: 0x0211,
  elementsDiscarded: 0xB006, outOfResources: 0xA700, cannotUnderstand: 0xC000, cancelled: 0xFE00, pending: 0xFF00
} as const

const NO_DATA_SET = 0x0101
/** The response to a C-GET-RQ is the longest that we read, and has not 300 bytes. */
export const LONGEST_COMMAND_SET_BYTES = 64 * 1024

export interface CommandSet {
  command: number
  /** Message ID (0000,0110), or for a response Message ID Being Responded To (0000,0120). */
  messageId: number
  hasDataSet: boolean
  /** Affected SOP Class UID (0000,0002), or Requested SOP Class UID (0000,0003); empty where there is none. */
  sopClassUid: string
  /** Affected SOP Instance UID (0000,1000); it comes from outside and is only compared. */
  sopInstanceUid: string
  /** Move Originator Application Entity Title (0000,1030); empty where there is none. */
  moveOriginatorAeTitle: string
  /** Of a response. */
  status: number | undefined
  /** Error Comment (0000,0902), without what cannot be printed. */
  errorComment: string
  /** Numbers of sub-operations (0000,1020) to (0000,1023), as far as they are given. */
  remaining: number | undefined
  completed: number | undefined
  failed: number | undefined
  warning: number | undefined
}

/** @throws ProtocolError */
export function readCommandSet (bytes: Buffer): CommandSet {
  const values = new Map<number, Buffer>()
  for (let at = 0; at < bytes.length;) {
    if (at + 8 > bytes.length || bytes.readUInt16LE(at) !== 0) throw new ProtocolError('a command set that is not one')
    const end = at + 8 + bytes.readUInt32LE(at + 4)
    if (end > bytes.length) throw new ProtocolError('an element of a command set that is cut off')
    values.set(bytes.readUInt16LE(at + 2), bytes.subarray(at + 8, end))
    at = end
  }
  const number = (element: number): number | undefined => {
    const value = values.get(element)
    return value === undefined || value.length < 2 ? undefined : value.readUInt16LE(0)
  }
  const text = (element: number): string => withoutPadding(values.get(element)?.toString('latin1') ?? '')
  const command = number(0x0100)
  const dataSetType = number(0x0800)
  if (command === undefined || dataSetType === undefined) throw new ProtocolError('a command set without command or data set type')
  const isResponse = (command & COMMAND.RESPONSE) !== 0
  const messageId = number(isResponse || command === COMMAND.C_CANCEL_RQ ? 0x0120 : 0x0110)
  if (messageId === undefined) throw new ProtocolError('a command set without a message ID')
  return {
    command,
    messageId,
    hasDataSet: dataSetType !== NO_DATA_SET,
    sopClassUid: text(0x0002) || text(0x0003),
    sopInstanceUid: text(0x1000) || text(0x1001),
    moveOriginatorAeTitle: text(0x1030).trim(),
    status: number(0x0900),
    errorComment: text(0x0902).replace(/[^\x20-\x7e]/g, '?'),
    remaining: number(0x1020),
    completed: number(0x1021),
    failed: number(0x1022),
    warning: number(0x1023)
  }
}

/** The response to a request that needs no more than a status. */
export function writeResponse (request: CommandSet, status: number): Buffer {
  const uids: Element[] = [[0x0002, uid(request.sopClassUid)]]
  if (request.sopInstanceUid !== '') uids.push([0x1000, uid(request.sopInstanceUid)])
  return write([
    ...uids, [0x0100, us(request.command | COMMAND.RESPONSE)], [0x0120, us(request.messageId)], [0x0800, us(NO_DATA_SET)], [0x0900, us(status)]
  ])
}

/** A C-GET-RQ or C-FIND-RQ; its identifier follows as a data set (PS3.7 9.3.2.1, 9.3.3.1). */
export function writeQuery (command: number, sopClassUid: string, messageId: number): Buffer {
  return write([[0x0002, uid(sopClassUid)], [0x0100, us(command)], [0x0110, us(messageId)], [0x0700, us(0)], [0x0800, us(1)]])
}

/** A C-ECHO-RQ (PS3.7 9.3.5.1). */
export function writeEcho (sopClassUid: string, messageId: number): Buffer {
  return write([[0x0002, uid(sopClassUid)], [0x0100, us(COMMAND.C_ECHO_RQ)], [0x0110, us(messageId)], [0x0800, us(NO_DATA_SET)]])
}

/** Element number in group 0000, and value. */
type Element = readonly [number, Buffer]

function write (elements: readonly Element[]): Buffer {
  const parts = [...elements].sort(([a], [b]) => a - b).flatMap(([element, value]) => [head(element, value.length), value])
  const body = Buffer.concat(parts)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(body.length)
  return Buffer.concat([head(0, 4), length, body])
}

function head (element: number, length: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(element, 2)
  bytes.writeUInt32LE(length, 4)
  return bytes
}

function us (value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

/** Values have an even length; UIDs are padded with a null character (PS3.5 9.1). */
function uid (text: string): Buffer {
  return Buffer.from(text.length % 2 === 0 ? text : `${text}\0`, 'latin1')
}
