/**
 * AES-256 of WinZip (AE-2): PBKDF2 of the password with a salt for each file gives a key, a key for the authentication code and two bytes by which a
 * reader knows a wrong password at once; then CTR with a little-endian counter from 1, and the first 10 bytes of HMAC-SHA1 over what is encrypted
 * (www.winzip.com/en/support/aes-encryption). What 7-Zip, Keka, WinZip and libarchive open.
 *
 * The salts of an archive come from a secret of ours, so that the same bytes can be made again for a download that broke. No two files of two archives
 * or passwords have the same: that would be one key stream for two texts.
 */
import { createCipheriv, createHmac, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'

export const SALT_BYTES = 16
const VERIFIER_BYTES = 2
const CODE_BYTES = 10
const KEY_BYTES = 32
const ITERATIONS = 1_000
const BLOCK_BYTES = 16
/** Counters that are encrypted at once. */
const STREAM_BYTES = 64 * 1_024

/** Bytes that encryption adds to a file. */
export const ADDED_BYTES = SALT_BYTES + VERIFIER_BYTES + CODE_BYTES

const deriveKey = promisify(pbkdf2)

/**
 * Salt, verifier, the encrypted content, its code.
 * @param content pieces of any length; they are not changed
 */
export async function * encrypted (password: string, salt: Buffer, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
  const keys = await deriveKey(password, salt, ITERATIONS, 2 * KEY_BYTES + VERIFIER_BYTES, 'sha1')
  const stream = new KeyStream(keys.subarray(0, KEY_BYTES))
  const code = createHmac('sha1', keys.subarray(KEY_BYTES, 2 * KEY_BYTES))
  yield Buffer.concat([salt, keys.subarray(2 * KEY_BYTES)])
  for await (const piece of content) {
    const bytes = stream.apply(piece)
    code.update(bytes)
    yield bytes
  }
  yield code.digest().subarray(0, CODE_BYTES)
}

/** CTR whose counter is little-endian, which OpenSSL's is not: blocks of counters through ECB. */
class KeyStream {
  readonly #key: Buffer
  #counter = 0
  #stream = Buffer.alloc(0)
  #used = 0

  constructor (key: Buffer) {
    this.#key = key
  }

  apply (text: Buffer): Buffer {
    const result = Buffer.allocUnsafe(text.length)
    for (let done = 0; done < text.length;) {
      if (this.#used === this.#stream.length) this.#next()
      const count = Math.min(text.length - done, this.#stream.length - this.#used)
      xor(text, done, this.#stream, this.#used, result, count)
      done += count
      this.#used += count
    }
    return result
  }

  #next (): void {
    const counters = Buffer.alloc(STREAM_BYTES)
    // 2^53 blocks are more than any file has
    for (let at = 0; at < STREAM_BYTES; at += BLOCK_BYTES) {
      this.#counter++
      counters.writeUInt32LE(this.#counter % 2 ** 32, at)
      counters.writeUInt32LE(Math.floor(this.#counter / 2 ** 32), at + 4)
    }
    const cipher = createCipheriv('aes-256-ecb', this.#key, null).setAutoPadding(false)
    this.#stream = cipher.update(counters)
    cipher.final()
    this.#used = 0
  }
}

/** Four bytes at a time where all three lie so: ten times as fast. */
function xor (a: Buffer, aAt: number, b: Buffer, bAt: number, target: Buffer, count: number): void {
  let done = 0
  const aligned = [a.byteOffset + aAt, b.byteOffset + bAt, target.byteOffset + aAt].every(offset => offset % 4 === 0)
  if (aligned) {
    const words = count >> 2
    const left = new Uint32Array(a.buffer, a.byteOffset + aAt, words)
    const right = new Uint32Array(b.buffer, b.byteOffset + bAt, words)
    const out = new Uint32Array(target.buffer, target.byteOffset + aAt, words)
    for (let index = 0; index < words; index++) out[index] = (left[index] ?? 0) ^ (right[index] ?? 0)
    done = 4 * words
  }
  for (; done < count; done++) target[aAt + done] = (a[aAt + done] ?? 0) ^ (b[bAt + done] ?? 0)
}
