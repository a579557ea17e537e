/**
 * Whose page makes a browser ask: our own, one of a site that is trusted, or another. What acts (a print, a cancel) is not for pages of others
 * (cross-site request forgery).
 *
 * A browser says it with Sec-Fetch-Site (W3C Fetch Metadata), but only over HTTPS and to localhost; with Origin (RFC 6454) for everything but
 * plain GET; else with Referer, if the page lets it. A program says nothing of the kind.
 */
import type { IncomingHttpHeaders } from 'node:http'

export type Asker = 'ourselves' | 'trusted' | 'stranger' | 'unknown'

/** @param trusted origins as `https://his.example` */
export function askerOf (headers: IncomingHttpHeaders, trusted: readonly string[]): Asker {
  const { origin, referer, host } = headers
  const site = headers['sec-fetch-site']
  // none: a person has typed the address, or opened a bookmark
  if (site === 'same-origin' || site === 'none') return 'ourselves'
  if (origin !== undefined) return judged(origin, host, trusted)
  const from = referer === undefined ? undefined : originOf(referer)
  if (from !== undefined) return judged(from, host, trusted)
  return site === undefined ? 'unknown' : 'stranger'
}

/** A link that somebody has clicked on, or a page that leads here: what is answered is shown. */
export function isNavigation (method: string, { accept = '', ...headers }: IncomingHttpHeaders): boolean {
  if (method !== 'GET') return false
  const mode = headers['sec-fetch-mode']
  return mode === undefined ? /\btext\/html\b/i.test(accept) : mode === 'navigate'
}

/**
 * A browser fetches what a person may want next: a link that a page recommends, an address that is being typed. Nobody has asked for it yet. `Sec-Purpose`
 * (W3C Prefetch, Fetch) and, of older browsers, `Purpose`, `X-Purpose` and `X-Moz`.
 */
export function isPrefetch (headers: IncomingHttpHeaders): boolean {
  return ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].some(name => /\b(?:prefetch|prerender|preview)\b/i.test(String(headers[name] ?? '')))
}

function judged (origin: string, host: string | undefined, trusted: readonly string[]): Asker {
  if (trusted.includes(origin)) return 'trusted'
  // not the scheme: a proxy may have taken TLS off
  return host !== undefined && hostOf(origin) === host.toLowerCase() ? 'ourselves' : 'stranger'
}

function originOf (url: string): string | undefined {
  try { return new URL(url).origin } catch { return undefined }
}

function hostOf (origin: string): string | undefined {
  try { return new URL(origin).host } catch { return undefined }
}
