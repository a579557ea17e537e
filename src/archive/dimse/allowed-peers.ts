/**
 * From which addresses the receiver takes connections (our_ae.allow_from). Empty means: from those that the hosts of the archives resolve to at the time, since that is who
 * we ask to send; `0.0.0.0/0` or `::/0` means everybody. Loopback is nobody special: it is allowed where it is named, or where the PACS is.
 */
import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { addressList, plainAddress } from '../../addresses.ts'

/** What the names of the archives resolve to is asked again after so long, when an unknown address comes. */
const FRESH_MS = 60_000

export class AllowedPeers {
  readonly #hosts: readonly string[]
  readonly #everybody: boolean
  /** By host: what was last known. */
  readonly #addresses = new Map<string, readonly LookupAddress[]>()
  #list: BlockList
  #askedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  /** @param archiveHosts names or addresses */
  constructor (allowFrom: readonly string[], archiveHosts: readonly string[]) {
    this.#everybody = allowFrom.some(text => /^(?:0\.0\.0\.0|::)\/0$/.test(text))
    this.#hosts = allowFrom.length === 0 ? archiveHosts : []
    this.#list = addressList(allowFrom)
  }

  /** @param remoteAddress as a socket gives it */
  async allows (remoteAddress: string | undefined): Promise<boolean> {
    const address = plainAddress(remoteAddress)
    if (address === undefined) return false
    if (this.#everybody || this.#has(address)) return true
    if (this.#hosts.length === 0 || performance.now() - this.#askedAt < FRESH_MS) return false
    this.#asking ??= this.#resolve().finally(() => { this.#asking = undefined })
    await this.#asking
    return this.#has(address)
  }

  #has (address: string): boolean { return this.#list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4') }

  /** A name that cannot be resolved just now keeps the addresses that it had. */
  async #resolve (): Promise<void> {
    await Promise.all(this.#hosts.map(async host => {
      const addresses = await lookup(host, { all: true }).catch(() => [])
      if (addresses.length > 0) this.#addresses.set(host, addresses)
    }))
    this.#askedAt = performance.now()
    const list = new BlockList()
    const loopback = addressList(['127.0.0.0/8', '::1'])
    for (const { address, family } of [...this.#addresses.values()].flat()) {
      const type = family === 6 ? 'ipv6' : 'ipv4'
      list.addAddress(address, type)
      // one of this machine may come by any of its loopback addresses
      if (!loopback.check(address, type)) continue
      list.addSubnet('127.0.0.0', 8, 'ipv4')
      list.addAddress('::1', 'ipv6')
    }
    this.#list = list
  }
}
