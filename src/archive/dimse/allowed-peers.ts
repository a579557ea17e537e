/**
 * From which addresses the receiver takes connections (our_ae.allow_from). Empty means: from those that pacs.host resolves to at the time, since that is who
 * we ask to send; `0.0.0.0/0` or `::/0` means everybody. Loopback is nobody special: it is allowed where it is named, or where the PACS is.
 */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { addressList, plainAddress } from '../../addresses.ts'

/** What the name of the PACS resolves to is asked again after so long, when an unknown address comes. */
const FRESH_MS = 60_000

export class AllowedPeers {
  readonly #host: string | undefined
  readonly #everybody: boolean
  #list: BlockList
  #askedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  /** @param pacsHost a name or an address */
  constructor (allowFrom: readonly string[], pacsHost: string) {
    this.#everybody = allowFrom.some(text => /^(?:0\.0\.0\.0|::)\/0$/.test(text))
    this.#host = allowFrom.length === 0 ? pacsHost : undefined
    this.#list = addressList(allowFrom)
  }

  /** @param remoteAddress as a socket gives it */
  async allows (remoteAddress: string | undefined): Promise<boolean> {
    const address = plainAddress(remoteAddress)
    if (address === undefined) return false
    if (this.#everybody || this.#has(address)) return true
    if (this.#host === undefined || performance.now() - this.#askedAt < FRESH_MS) return false
    this.#asking ??= this.#resolve(this.#host).finally(() => { this.#asking = undefined })
    await this.#asking
    return this.#has(address)
  }

  #has (address: string): boolean { return this.#list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4') }

  /** A name that cannot be resolved just now keeps the addresses that it had. */
  async #resolve (host: string): Promise<void> {
    const addresses = await lookup(host, { all: true }).catch(() => [])
    this.#askedAt = performance.now()
    if (addresses.length === 0) return
    const list = new BlockList()
    const loopback = addressList(['127.0.0.0/8', '::1'])
    for (const { address, family } of addresses) {
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
