/** Addresses and networks as a configuration writes them. */
import { BlockList, isIP } from 'node:net'

export function isAddressOrNetwork (text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  return family !== 0 && rest.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)))
}

export function addressList (allowFrom: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of allowFrom) {
    const [address = '', prefix] = text.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}

/** The peer of a socket as people write it: an IPv4 peer of an IPv6 socket is `::ffff:10.0.0.1`, a link-local one has its interface behind a `%`. */
export function plainAddress (remoteAddress: string | undefined): string | undefined {
  return remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
}
