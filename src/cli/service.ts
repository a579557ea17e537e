/** The service that may run on this machine with the same configuration. */
import { request } from 'undici'
import type { Config } from '../config/schema.ts'
import { PRODUCT } from '../product.ts'

const TIMEOUT_MS = 2_000

/** Its address, `http://127.0.0.1:8080`; undefined when nobody answers on its port, or somebody else. */
export async function findService ({ server: { host, port } }: Config): Promise<string | undefined> {
  if (port === 0) return undefined
  const reachable = ['0.0.0.0', '::', ''].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  const url = `http://${reachable}:${port}`
  try {
    const answer = await request(`${url}/api/health/live`, { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
    const body: unknown = await answer.body.json()
    return typeof body === 'object' && body !== null && 'service' in body && body.service === PRODUCT.name ? url : undefined
  } catch { return undefined }
}
