/** Images that a lying PACS sends as raw messages: what no library would send as it is, and with what tells whose they are. */
import { EXPLICIT, Sender } from '../archive/dimse/sender.ts'
import { CT } from '../made-images.ts'
import type { Move } from './lying-pacs.ts'

export const SR = '1.2.840.10008.5.1.4.1.1.88.11'
const CONTEXTS = [{ id: 1, abstractSyntax: CT, transferSyntaxes: [EXPLICIT] }, { id: 3, abstractSyntax: SR, transferSyntaxes: [EXPLICIT] }]

export interface RawImage {
  /** As the command says; the data set may say otherwise. */
  sopInstanceUid: string
  sopClassUid?: string
  dataSet: Buffer
  /** So many bytes go out, and the association breaks. */
  cutAfterBytes?: number
}

export interface RawSender {
  callingAeTitle: string
  moveOriginatorAeTitle?: string | undefined
}

/** @returns the number that was taken */
export async function sendRaw (port: number, images: readonly RawImage[], { callingAeTitle, moveOriginatorAeTitle }: RawSender = { callingAeTitle: 'LIAR' }): Promise<number> {
  if (images.length === 0) return 0
  const sender = new Sender(port)
  await sender.associate(CONTEXTS, callingAeTitle)
  let taken = 0
  for (const { sopInstanceUid, sopClassUid = CT, dataSet, cutAfterBytes } of images) {
    const options = { sopInstanceUid, sopClassUid, dataSet, contextId: sopClassUid === SR ? 3 : 1, ...(moveOriginatorAeTitle === undefined ? {} : { moveOriginatorAeTitle }) }
    if (cutAfterBytes !== undefined) {
      await sender.storePart(options, cutAfterBytes)
      sender.abort()
      await sender.end()
      return taken
    }
    if (await sender.store(options) === 0) taken++
  }
  await sender.release()
  return taken
}

/** A move that sends these whatever it was asked for, and says that it sent them all. */
export function sendingRaw (images: readonly RawImage[]): (move: Move) => Promise<void> {
  return async move => {
    await sendRaw(move.receiverPort, images)
    move.final(0, { completed: images.length })
  }
}
