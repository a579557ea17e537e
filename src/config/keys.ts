/** Reads the keys that open the service: each with a name, kept as SHA-256 only. */
import { readFileSync } from 'node:fs'
import type { NamedKey, RawConfig } from './schema.ts'
import { digestOf } from '../digest.ts'

/** Name of the original design's one key. */
export const API_KEY_NAME = 'api_key'

/** The key of the original design's example: everybody knows it. */
const KNOWN = 'changeme'

/**
 * Reads the keys of a configuration.
 * @param fault is told what is wrong and in which key of the configuration
 */
export function readKeys (auth: RawConfig['auth'], fault: (key: string, text: string) => void): NamedKey[] {
  const keys: NamedKey[] = []
  if (auth.api_key !== '') keys.push({ name: API_KEY_NAME, digest: digestOf(auth.api_key) })
  if (auth.enabled && auth.api_key === KNOWN) fault('auth.api_key', `auth.api_key is "${KNOWN}" while auth.enabled is true: set a secret key, for example from "openssl rand -hex 32"`)
  for (const [index, entry] of auth.keys.entries()) {
    const where = `auth.keys.${index}`
    const given = [entry.key, entry.key_file, entry.sha256].filter(value => value !== undefined)
    if (given.length !== 1) {
      fault(where, `auth.keys: ${entry.name} needs exactly one of key, key_file and sha256`)
      continue
    }
    if (keys.some(({ name }) => name === entry.name)) fault(where, `auth.keys: the name ${entry.name} is there twice`)
    const digest = entry.sha256 !== undefined ? Buffer.from(entry.sha256, 'hex') : digestOfEntry(entry.key, entry.key_file, text => { fault(where, `auth.keys: ${entry.name}: ${text}`) })
    if (digest !== undefined) keys.push({ name: entry.name, digest })
  }
  return keys
}

function digestOfEntry (key: string | undefined, file: string | undefined, fault: (text: string) => void): Buffer | undefined {
  let text = key ?? ''
  if (file !== undefined) {
    try {
      text = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    } catch {
      fault(`the file ${file} cannot be read`)
      return undefined
    }
  }
  if (text === '' || text === KNOWN) {
    fault(text === '' ? 'the key is empty' : `the key is "${KNOWN}": set a secret one`)
    return undefined
  }
  return digestOf(text)
}
