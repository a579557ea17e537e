/** The service that runs beside the doctor, and has the receiver's port. */
import { request } from 'undici'
import type { Config } from '../config/schema.ts'

const TIMEOUT_MS = 2_000
const DROPPED = /^mkiso_receiver_dropped_instances_total (\d+)$/m

/**
 * Images that its receiver got and that nobody had asked for, since it was started: one that the doctor has asked for is among them.
 * @param url `http://127.0.0.1:8080`
 * @returns undefined where it does not tell (metrics.enabled, metrics.token)
 */
export async function droppedImages (url: string, { enabled, token }: Config['metrics']): Promise<number | undefined> {
  if (!enabled) return undefined
  try {
    const { body } = await request(`${url}/metrics`, { headers: token === '' ? {} : { authorization: `Bearer ${token}` }, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
    const count = DROPPED.exec(await body.text())?.[1]
    return count === undefined ? undefined : Number(count)
  } catch { return undefined }
}
