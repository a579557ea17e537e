/** A key of the service, for one who may read its configuration; the service itself keeps no more than their SHA-256. */
import { readFileSync } from 'node:fs'
import type { RawConfig } from '../config/schema.ts'
import { readYaml } from '../yaml.ts'

/**
 * @param file a configuration that has been found right
 * @returns undefined where it holds no key in the clear
 */
export function keyOf (file: string, env: Record<string, string | undefined> = process.env): string | undefined {
  const given = env['MKISO_AUTH__API_KEY'] ?? read(env['MKISO_AUTH__API_KEY_FILE'])
  if (given !== undefined) return given
  const { auth } = (readYaml(readFileSync(file, 'utf8')).content ?? {}) as { auth?: Partial<RawConfig['auth']> | null }
  if (auth?.api_key !== undefined && auth.api_key !== '') return auth.api_key
  for (const { key, key_file: keyFile } of auth?.keys ?? []) {
    const text = key ?? read(keyFile)
    if (text !== undefined) return text
  }
  return undefined
}

function read (file: string | undefined): string | undefined {
  return file === undefined ? undefined : readKeyFile(file)
}

/** Without its last newline, as the service reads it. */
export function readKeyFile (file: string): string {
  return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
}
