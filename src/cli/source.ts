/** Where `make` gets its disc: the service that runs on this machine, or one of its own on a port and with a key that nobody else knows. */
import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import { buildApp } from '../app.ts'
import { digestOf } from '../digest.ts'
import type { Config } from '../config/schema.ts'
import { loggerOf } from './logger.ts'
import { findService } from './service.ts'

const USER_HEADER = 'x-mkiso-user'

export interface Source {
  readonly url: string
  readonly headers: Record<string, string>
  close (): Promise<void>
}

export interface SourceOptions {
  /** Asked only when the service wants a key. */
  key: () => string | undefined
  verbose: boolean
}

export async function openSource (config: Config, { key, verbose }: SourceOptions): Promise<Source> {
  const url = await findService(config)
  if (url === undefined) return await ownService(config, verbose)
  const { user_header: userHeader } = config.audit
  // believed where server.trust_proxy names this machine
  return runningService(url, config.auth.enabled ? key() : undefined, userHeader === '' ? {} : { [userHeader]: userName() })
}

/** It shares the PACS, the receiver and kept studies with everybody else. */
function runningService (url: string, key: string | undefined, headers: Record<string, string>): Source {
  return {
    url,
    headers: { ...headers, ...(key === undefined ? {} : { 'x-api-key': key }) },
    close: async () => {}
  }
}

async function ownService (config: Config, verbose: boolean): Promise<Source> {
  const key = randomBytes(32).toString('hex')
  const app = await buildApp({
    ...config,
    server: { ...config.server, host: '127.0.0.1', port: 0, trust_proxy: ['127.0.0.1'] },
    auth: { ...config.auth, enabled: true, keys: [{ name: 'mkiso make', digest: digestOf(key) }], signedLinks: undefined },
    audit: { ...config.audit, user_header: USER_HEADER },
    // nobody comes a second time
    iso: { ...config.iso, keepForMs: 0 }
  }, verbose ? loggerOf({ ...config.log, pretty: process.stderr.isTTY === true }, 2) : false)
  try {
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    return {
      url,
      headers: { 'x-api-key': key, [USER_HEADER]: userName() },
      close: async () => { await app.close() }
    }
  } catch (error) {
    await app.close()
    throw error
  }
}

/** The person at the server, for the audit trail; sudo does not hide who it is. */
function userName (): string {
  try { return process.env['SUDO_USER'] ?? userInfo().username } catch { return `user ${process.getuid?.() ?? ''}` }
}
