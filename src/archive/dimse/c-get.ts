import type { Transport, TransportOptions } from './transport.ts'
export function createCGet (_options: TransportOptions): Transport {
  throw new Error('to come')
}
