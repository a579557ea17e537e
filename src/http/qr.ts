/** A QR code as a picture that a page can show without asking for it: its policy takes `data:` for pictures. */
import QRCode from 'qrcode'

export async function qrPicture (text: string): Promise<string> {
  const svg = await QRCode.toString(text, { type: 'svg' })
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`
}
