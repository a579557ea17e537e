/** The protocol data units of an association, byte by byte (PS3.8 9.3). Whatever a peer sends is checked before it is used. */
import { withoutPadding } from '../../../dicom/padding.ts'
import { PRODUCT } from '../../../product.ts'

/** The largest P-DATA-TF that we take; half of DCMTK's largest made a move half as fast (measured). */
export const OUR_MAX_PDU_BYTES = 131_072
/** PS3.8 allows identifiers 1 to 255, odd ones only. */
export const MOST_CONTEXTS = 128
/** This program as an implementation (PS3.7 D.3.3.2), from a UUID (PS3.5 B.2). */
export const IMPLEMENTATION_CLASS_UID = '2.25.259819320303033165170651394859626634255'
/** At most 16 characters. */
export const IMPLEMENTATION_VERSION_NAME = `MKISO_${PRODUCT.version.replaceAll('.', '_')}`.slice(0, 16)

const APPLICATION_CONTEXT = '1.2.840.10008.3.1.1.1'
const PROTOCOL_VERSION = 1
const FIXED_FIELDS_BYTES = 68

export const PDU = { ASSOCIATE_RQ: 1, ASSOCIATE_AC: 2, ASSOCIATE_RJ: 3, P_DATA: 4, RELEASE_RQ: 5, RELEASE_RP: 6, ABORT: 7 } as const
const ITEM = {
  APPLICATION_CONTEXT: 0x10, PROPOSED_CONTEXT: 0x20, ANSWERED_CONTEXT: 0x21, ABSTRACT_SYNTAX: 0x30, TRANSFER_SYNTAX: 0x40, USER_INFORMATION: 0x50,
  MAXIMUM_LENGTH: 0x51, IMPLEMENTATION_CLASS: 0x52, ROLE_SELECTION: 0x54, IMPLEMENTATION_VERSION: 0x55
} as const

/** The peer does not speak DICOM, or speaks it wrongly: its association is aborted. */
export class ProtocolError extends Error {
  constructor (reason: string) {
    super(reason)
    this.name = 'ProtocolError'
  }
}

export interface ProposedContext {
  id: number
  abstractSyntax: string
  transferSyntaxes: readonly string[]
}

/** SCP/SCU role selection (PS3.7 D.3.3.4), as the requestor sees itself. */
export interface Roles {
  sopClassUid: string
  scu: boolean
  scp: boolean
}

export interface AssociateRequest {
  calledAeTitle: string
  callingAeTitle: string
  contexts: readonly ProposedContext[]
  roles: readonly Roles[]
  /** The longest P-DATA-TF that the sender of this takes; 0 for no limit (PS3.8 D.1). */
  maxPduBytes: number
}

/** How a presentation context was answered (PS3.8 9.3.3.2); everything but `accepted` is a refusal. */
export const CONTEXT_RESULT = { accepted: 0, abstractSyntaxNotSupported: 3, transferSyntaxesNotSupported: 4 } as const

export interface AnsweredContext {
  id: number
  result: number
  /** Not significant unless accepted. */
  transferSyntax: string
}

export interface AssociateAccept {
  contexts: readonly AnsweredContext[]
  roles: readonly Roles[]
  maxPduBytes: number
}

/** PS3.8 9.3.4: result 1 is permanent, 2 transient; the meaning of reason depends on the source. */
export interface AssociateReject {
  result: number
  source: number
  reason: number
}

export const REJECT = {
  applicationContext: { result: 1, source: 1, reason: 2 },
  protocolVersion: { result: 1, source: 2, reason: 2 },
  localLimit: { result: 2, source: 3, reason: 2 }
} as const satisfies Record<string, AssociateReject>

/**
 * @param body the PDU without its first six bytes
 * @returns what is proposed, or how it has to be rejected
 * @throws ProtocolError
 */
export function readAssociateRequest (body: Buffer): AssociateRequest | AssociateReject {
  if (body.length < FIXED_FIELDS_BYTES) throw new ProtocolError('an A-ASSOCIATE-RQ that is too short')
  // each bit is a version (PS3.8 9.3.2)
  if ((body.readUInt16BE(0) & PROTOCOL_VERSION) === 0) return REJECT.protocolVersion
  const contexts: ProposedContext[] = []
  let applicationContext = ''
  let user: UserInformation = { maxPduBytes: 0, roles: [] }
  for (const { type, value } of items(body.subarray(FIXED_FIELDS_BYTES))) {
    if (type === ITEM.APPLICATION_CONTEXT) applicationContext = uidOf(value)
    else if (type === ITEM.PROPOSED_CONTEXT) contexts.push(proposedContext(value))
    else if (type === ITEM.USER_INFORMATION) user = userInformation(value)
  }
  if (applicationContext !== APPLICATION_CONTEXT) return REJECT.applicationContext
  if (contexts.length > MOST_CONTEXTS) throw new ProtocolError(`${contexts.length} presentation contexts`)
  if (new Set(contexts.map(({ id }) => id)).size < contexts.length) throw new ProtocolError('two presentation contexts with one identifier')
  return { calledAeTitle: titleOf(body.subarray(4, 20)), callingAeTitle: titleOf(body.subarray(20, 36)), contexts, ...user }
}

export function writeAssociateRequest ({ calledAeTitle, callingAeTitle, contexts, roles }: Omit<AssociateRequest, 'maxPduBytes'>): Buffer {
  return pdu(PDU.ASSOCIATE_RQ, fixedFields(calledAeTitle, callingAeTitle), item(ITEM.APPLICATION_CONTEXT, uid(APPLICATION_CONTEXT)),
    ...contexts.map(({ id, abstractSyntax, transferSyntaxes }) => item(ITEM.PROPOSED_CONTEXT, Buffer.from([id, 0, 0, 0]),
      item(ITEM.ABSTRACT_SYNTAX, uid(abstractSyntax)), ...transferSyntaxes.map(one => item(ITEM.TRANSFER_SYNTAX, uid(one))))),
    ourInformation(roles))
}

/** @throws ProtocolError */
export function readAssociateAccept (body: Buffer): AssociateAccept {
  if (body.length < FIXED_FIELDS_BYTES) throw new ProtocolError('an A-ASSOCIATE-AC that is too short')
  const contexts: AnsweredContext[] = []
  let user: UserInformation = { maxPduBytes: 0, roles: [] }
  for (const { type, value } of items(body.subarray(FIXED_FIELDS_BYTES))) {
    if (type === ITEM.USER_INFORMATION) user = userInformation(value)
    if (type !== ITEM.ANSWERED_CONTEXT) continue
    if (value.length < 4) throw new ProtocolError('a presentation context that is too short')
    const transferSyntax = items(value.subarray(4)).find(part => part.type === ITEM.TRANSFER_SYNTAX)
    contexts.push({ id: value.readUInt8(0), result: value.readUInt8(2), transferSyntax: transferSyntax === undefined ? '' : uidOf(transferSyntax.value) })
  }
  return { contexts, ...user }
}

/** The titles go back as they came (PS3.8 9.3.3). */
export function writeAssociateAccept ({ calledAeTitle, callingAeTitle }: AssociateRequest, { contexts, roles }: Omit<AssociateAccept, 'maxPduBytes'>): Buffer {
  return pdu(PDU.ASSOCIATE_AC, fixedFields(calledAeTitle, callingAeTitle), item(ITEM.APPLICATION_CONTEXT, uid(APPLICATION_CONTEXT)),
    ...contexts.map(({ id, result, transferSyntax }) => item(ITEM.ANSWERED_CONTEXT, Buffer.from([id, 0, result, 0]), item(ITEM.TRANSFER_SYNTAX, uid(transferSyntax)))),
    ourInformation(roles))
}

/** @throws ProtocolError */
export function readAssociateReject (body: Buffer): AssociateReject {
  if (body.length < 4) throw new ProtocolError('an A-ASSOCIATE-RJ that is too short')
  return { result: body.readUInt8(1), source: body.readUInt8(2), reason: body.readUInt8(3) }
}

export function writeAssociateReject ({ result, source, reason }: AssociateReject): Buffer {
  return pdu(PDU.ASSOCIATE_RJ, Buffer.from([0, result, source, reason]))
}

export function writeReleaseRequest (): Buffer { return pdu(PDU.RELEASE_RQ, Buffer.alloc(4)) }
export function writeReleaseResponse (): Buffer { return pdu(PDU.RELEASE_RP, Buffer.alloc(4)) }

/** @param byProvider the peer broke the protocol (source 2, reason not specified), else we end it by our own will (source 0) */
export function writeAbort (byProvider: boolean): Buffer {
  return pdu(PDU.ABORT, Buffer.from([0, 0, byProvider ? 2 : 0, 0]))
}

/** P-DATA-TF PDUs for one command set or data set, none longer than the peer takes. */
export function writeData (contextId: number, isCommand: boolean, bytes: Buffer, peerMaxPduBytes: number): Buffer[] {
  // the length of a PDU counts the item's length field and the two bytes that follow it (PS3.8 9.3.5)
  const fragmentBytes = (peerMaxPduBytes === 0 ? OUR_MAX_PDU_BYTES : Math.min(peerMaxPduBytes, OUR_MAX_PDU_BYTES)) - 6
  if (fragmentBytes < 1) throw new ProtocolError(`a peer that takes PDUs of ${peerMaxPduBytes} bytes`)
  const pdus: Buffer[] = []
  for (let start = 0; start === 0 || start < bytes.length; start += fragmentBytes) {
    const fragment = bytes.subarray(start, start + fragmentBytes)
    const head = Buffer.alloc(6)
    head.writeUInt32BE(fragment.length + 2)
    head.writeUInt8(contextId, 4)
    head.writeUInt8((isCommand ? 1 : 0) | (start + fragmentBytes >= bytes.length ? 2 : 0), 5)
    pdus.push(pdu(PDU.P_DATA, head, fragment))
  }
  return pdus
}

interface UserInformation {
  maxPduBytes: number
  roles: Roles[]
}

function proposedContext (value: Buffer): ProposedContext {
  if (value.length < 4) throw new ProtocolError('a presentation context that is too short')
  const id = value.readUInt8(0)
  if (id % 2 === 0) throw new ProtocolError(`presentation context ${id}`)
  const parts = items(value.subarray(4))
  const abstractSyntax = parts.find(({ type }) => type === ITEM.ABSTRACT_SYNTAX)
  if (abstractSyntax === undefined) throw new ProtocolError('a presentation context without an abstract syntax')
  return { id, abstractSyntax: uidOf(abstractSyntax.value), transferSyntaxes: parts.filter(({ type }) => type === ITEM.TRANSFER_SYNTAX).map(part => uidOf(part.value)) }
}

function userInformation (value: Buffer): UserInformation {
  const information: UserInformation = { maxPduBytes: 0, roles: [] }
  for (const part of items(value)) {
    if (part.type === ITEM.MAXIMUM_LENGTH && part.value.length === 4) information.maxPduBytes = part.value.readUInt32BE(0)
    if (part.type === ITEM.ROLE_SELECTION) information.roles.push(rolesOf(part.value))
  }
  return information
}

function rolesOf (value: Buffer): Roles {
  const length = value.length < 2 ? 0 : value.readUInt16BE(0)
  if (value.length !== length + 4) throw new ProtocolError('a role selection of another length than it says')
  return { sopClassUid: uidOf(value.subarray(2, 2 + length)), scu: value.readUInt8(2 + length) === 1, scp: value.readUInt8(3 + length) === 1 }
}

function ourInformation (roles: readonly Roles[]): Buffer {
  const maximum = Buffer.alloc(4)
  maximum.writeUInt32BE(OUR_MAX_PDU_BYTES)
  return item(ITEM.USER_INFORMATION, item(ITEM.MAXIMUM_LENGTH, maximum), item(ITEM.IMPLEMENTATION_CLASS, uid(IMPLEMENTATION_CLASS_UID)),
    ...roles.map(({ sopClassUid, scu, scp }) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(sopClassUid.length)
      return item(ITEM.ROLE_SELECTION, length, uid(sopClassUid), Buffer.from([scu ? 1 : 0, scp ? 1 : 0]))
    }),
    item(ITEM.IMPLEMENTATION_VERSION, Buffer.from(IMPLEMENTATION_VERSION_NAME, 'latin1')))
}

function fixedFields (calledAeTitle: string, callingAeTitle: string): Buffer {
  const fixed = Buffer.alloc(FIXED_FIELDS_BYTES)
  fixed.writeUInt16BE(PROTOCOL_VERSION)
  fixed.write(calledAeTitle.padEnd(16).slice(0, 16), 4, 'latin1')
  fixed.write(callingAeTitle.padEnd(16).slice(0, 16), 20, 'latin1')
  return fixed
}

function pdu (type: number, ...parts: Buffer[]): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt8(type)
  head.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0), 2)
  return Buffer.concat([head, ...parts])
}

function item (type: number, ...parts: Buffer[]): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt8(type)
  head.writeUInt16BE(parts.reduce((sum, part) => sum + part.length, 0), 2)
  return Buffer.concat([head, ...parts])
}

function items (bytes: Buffer): Array<{ type: number, value: Buffer }> {
  const found = []
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) throw new ProtocolError('an item that is cut off')
    const end = at + 4 + bytes.readUInt16BE(at + 2)
    if (end > bytes.length) throw new ProtocolError('an item that is longer than what holds it')
    found.push({ type: bytes.readUInt8(at), value: bytes.subarray(at + 4, end) })
    at = end
  }
  return found
}

function uid (text: string): Buffer { return Buffer.from(text, 'latin1') }

/** Some peers pad UIDs with a null character or a blank, though PS3.8 F.1 has no padding here (CTN does, measured). */
function uidOf (value: Buffer): string { return withoutPadding(value.toString('latin1')) }

/** Blanks around a title are not significant (PS3.8 9.3.2); what cannot be printed has no place in a log. */
function titleOf (value: Buffer): string { return value.toString('latin1').replace(/[^\x20-\x7e]/g, '?').trim() }
