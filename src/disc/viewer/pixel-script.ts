/** Compressed frames as a script file: what no browser decodes by itself, and what no bitmap can say. */
import type { ImageDescription } from './image-description.ts'

/** @returns what the script file takes, bytes, at most; undefined where no decoder of the page reads it */
export function scriptBytes (_image: ImageDescription): number | undefined {
  return undefined
}

export async function scriptFile (_path: string, _image: ImageDescription): Promise<Buffer> {
  return Buffer.alloc(0)
}
