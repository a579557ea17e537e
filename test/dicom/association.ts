/** Association negotiation byte by byte (PS3.8 9.3), to see what the tools that we drive propose and accept. */
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

export interface PresentationContext {
  abstractSyntax: string
  transferSyntaxes: string[]
}

/** Presentation contexts of an A-ASSOCIATE-RQ, in order. */
export function readRequest (pdu: Buffer): PresentationContext[] {
  return itemsOf(pdu.subarray(74)).filter(({ type }) => type === 0x20).map(({ value }) => {
    const parts = itemsOf(value.subarray(4))
    const uids = (type: number): string[] => parts.filter(part => part.type === type).map(part => part.value.toString('latin1').replace(/\0+$/, ''))
    return { abstractSyntax: uids(0x30)[0] ?? '', transferSyntaxes: uids(0x40) }
  })
}

/** Listens, takes one association request, aborts it, and tells what it proposed. */
export async function requestOf (call: (port: number) => Promise<unknown>): Promise<PresentationContext[]> {
  let contexts: PresentationContext[] | undefined
  const server = createServer(socket => {
    let received = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < 6 || received.length < 6 + received.readUInt32BE(2)) return
      contexts ??= readRequest(received)
      // A-ASSOCIATE-RJ, permanent, by the service user, no reason given
      socket.end(Buffer.from([3, 0, 0, 0, 0, 4, 0, 1, 1, 1]))
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  try {
    await call((server.address() as AddressInfo).port)
  } finally {
    await new Promise(resolve => { server.close(resolve) })
  }
  if (contexts === undefined) throw new Error('no association was requested')
  return contexts
}

/** Proposes presentation contexts and tells which ones are accepted. */
export async function accepted (port: number, calledAeTitle: string, contexts: readonly PresentationContext[]): Promise<boolean[]> {
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => { socket.write(writeRequest(calledAeTitle, contexts)) })
    let received = Buffer.alloc(0)
    socket.on('error', reject)
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < 6 || received.length < 6 + received.readUInt32BE(2)) return
      resolve(received)
      // A-ABORT
      socket.end(Buffer.from([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
    })
  })
  if (answer[0] !== 2) throw new Error(`the association was refused: PDU type ${answer[0]}`)
  const results = new Map(itemsOf(answer.subarray(74)).filter(({ type }) => type === 0x21).map(({ value }) => [value[0], value[2] === 0]))
  return contexts.map((_, index) => results.get(2 * index + 1) ?? false)
}

function writeRequest (calledAeTitle: string, contexts: readonly PresentationContext[]): Buffer {
  const text = (uid: string): Buffer => Buffer.from(uid, 'latin1')
  const items = Buffer.concat([
    item(0x10, text('1.2.840.10008.3.1.1.1')),
    ...contexts.map(({ abstractSyntax, transferSyntaxes }, index) =>
      item(0x20, Buffer.from([2 * index + 1, 0, 0, 0]), item(0x30, text(abstractSyntax)), ...transferSyntaxes.map(uid => item(0x40, text(uid))))),
    item(0x50, item(0x51, Buffer.from([0, 2, 0, 0])), item(0x52, text('2.25.1')))
  ])
  const fixed = Buffer.alloc(68)
  fixed.writeUInt16BE(1)
  fixed.write(calledAeTitle.padEnd(16), 4, 'latin1')
  fixed.write('TEST'.padEnd(16), 20, 'latin1')
  const head = Buffer.from([1, 0, 0, 0, 0, 0])
  head.writeUInt32BE(fixed.length + items.length, 2)
  return Buffer.concat([head, fixed, items])
}

function item (type: number, ...parts: Buffer[]): Buffer {
  const value = Buffer.concat(parts)
  const head = Buffer.from([type, 0, 0, 0])
  head.writeUInt16BE(value.length, 2)
  return Buffer.concat([head, value])
}

function itemsOf (bytes: Buffer): Array<{ type: number, value: Buffer }> {
  const items = []
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 2)
    items.push({ type: bytes[at] ?? 0, value: bytes.subarray(at + 4, at + 4 + length) })
    at += 4 + length
  }
  return items
}
