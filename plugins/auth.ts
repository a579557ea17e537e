/** Who may come in: a key in `X-API-Key`, as nginx or a program sends it, or a link that the HIS has signed. */
import { join } from 'node:path'
import fp from 'fastify-plugin'
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { nameOfKey } from '../src/auth/keys.ts'
import { LinkUses } from '../src/auth/link-uses.ts'
import { BOUND, checkSignedLink, DOWNLOAD_PAGE, expiryFault, expiryMsOf, type SignedLink } from '../src/auth/signed-links.ts'
import { UsedLinks } from '../src/auth/used-links.ts'
import type { Config } from '../src/config/schema.ts'
import { stateFolders } from '../src/config/state-folder.ts'
import { MkisoError } from '../src/errors.ts'
import { discNumber } from '../src/http/schemas.ts'

/** By what a request came in that has no key. */
export interface LinkOfRequest {
  signature: string
  /** Of a link that is good for one whole download. */
  once: string | undefined
  /** Of a set. */
  disc: number
  expiresMs: number
  /** Why it begins nothing any more: it only goes on with what it has begun. */
  late: MkisoError | undefined
  /** Though late: the disc that is made for the page that it opened in time, and may be taken with it. */
  takes: string | undefined
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Hook for routes that need the key; in `onRequest`, so that 401 comes before 400. */
    authorise: ReturnType<typeof createAuthorise>
    linkUses: LinkUses
    usedLinks: UsedLinks
  }
  interface FastifyRequest {
    /** By what the client came in: the name of a key, {@link SIGNED_LINK}, or undefined where nothing is asked (auth.enabled). */
    credential: string | undefined
    signedLink: LinkOfRequest | undefined
  }
  interface FastifyContextConfig {
    /** Another route whose signed links open this one too: a page that leads to a download. */
    signedAs?: string | ((accessionNumbers: string) => string | readonly string[])
  }
}

export const SIGNED_LINK = 'signed link'

/** The routes that send discs. */
const DOWNLOADS = '/api/iso/download'
/** What a page follows its disc with. */
const PROGRESS = '/api/iso/progress'
const ONCE = /^[0-9a-f]{32}$/
const USED_LINKS_FOLDER = 'used-links'
const TIDY_MS = 3_600_000

export function createAuthorise ({ enabled, keys, signedLinks }: Config['auth'], uses: LinkUses, used: UsedLinks): onRequestHookHandler {
  return async function authorise (request) {
    if (!enabled) return
    const given = request.headers['x-api-key']
    const name = typeof given === 'string' ? nameOfKey(keys, given) : undefined
    if (name !== undefined) {
      request.credential = name
      return
    }
    const link = linkOf(request)
    if (signedLinks === undefined || link === undefined) throw new MkisoError('UNAUTHORIZED')
    checkSignedLink(signedLinks, link)
    const disc = discNumber(textOf(request, 'disc', /^[1-9][0-9]{0,2}$/)) ?? 1
    const { signature, once } = { ...link, signature: link.signature.toLowerCase() }
    request.signedLink = { signature, once, disc, expiresMs: expiryMsOf(link), ...lateness(request, { ...link, signature }, disc, uses, used) }
    request.credential = SIGNED_LINK
  }
}

/**
 * What was begun with a link while it was good is taken to its end: the disc that is being made for a page, how that ended, and the rest of a download.
 * The routes see to it that it is that one which is asked for.
 * @returns why only that may be had, undefined where the link is good
 * @throws MkisoError LINK_EXPIRED, LINK_USED where it began nothing that could go on
 */
function lateness (
  request: FastifyRequest, { signature, once, expires }: SignedLink, disc: number, uses: LinkUses, used: UsedLinks
): Pick<LinkOfRequest, 'late' | 'takes'> {
  const isUsed = once !== undefined && used.isUsed(once, disc)
  const late = isUsed ? new MkisoError('LINK_USED') : expiryFault({ expires })
  if (late === undefined) return { late, takes: undefined }
  const { method, headers: { range }, routeOptions: { url = '' } } = request
  // as the page and its download name it
  const id = textOf(request, url === PROGRESS ? 'id' : 'preparation')
  const isMaking = !isUsed && id !== undefined && uses.isMaking(id, signature)
  if (url === PROGRESS && (isMaking || (id !== undefined && method === 'GET' && uses.hasMade(id, signature)))) return { late, takes: undefined }
  const isDownload = url.startsWith(DOWNLOADS)
  if (isDownload && isMaking) return { late, takes: id }
  if (isDownload && method === 'GET' && range !== undefined && uses.hasBegun(signature)) return { late, takes: undefined }
  throw late
}

/** What stands in the address, which nothing has validated yet. */
function linkOf (request: FastifyRequest): SignedLink | undefined {
  const [one, list, expires, signature] = ['accession_number', 'accession_numbers', 'expires', 'signature'].map(name => textOf(request, name))
  const accessionNumbers = list ?? one
  const query = request.query as Record<string, unknown>
  // one that was not signed must not stand beside it
  const isOne = query['accession_number'] === undefined || one === accessionNumbers
  if (accessionNumbers === undefined || !isOne || expires === undefined || signature === undefined) return undefined
  if (BOUND.some(name => query[name] !== undefined && textOf(request, name) === undefined)) return undefined
  if (query['once'] !== undefined && textOf(request, 'once', ONCE) === undefined) return undefined
  const bound = Object.fromEntries(BOUND.map(name => [name, textOf(request, name)]))
  return { ...bound, paths: signedPathsOf(request, accessionNumbers), accessionNumbers, expires, signature }
}

function textOf (request: FastifyRequest, name: string, pattern = /(?:)/): string | undefined {
  const value = (request.query as Record<string, unknown>)[name]
  return typeof value === 'string' && pattern.test(value) ? value : undefined
}

function signedPathsOf ({ routeOptions: { config: { signedAs }, url = '' } }: FastifyRequest, accessionNumbers: string): string[] {
  const paths = [typeof signedAs === 'function' ? signedAs(accessionNumbers) : signedAs ?? url].flat()
  return paths.some(path => path.startsWith(DOWNLOADS)) ? [...paths, DOWNLOAD_PAGE] : paths
}

export default fp(async app => {
  const { config, workDir } = app
  const uses = new LinkUses()
  const used = new UsedLinks(join(config.auth.signedLinks === undefined ? workDir : stateFolders(config)[0] ?? workDir, USED_LINKS_FOLDER))
  app.decorateRequest('credential', undefined)
  app.decorateRequest('signedLink', undefined)
  app.decorate('linkUses', uses)
  app.decorate('usedLinks', used)
  app.decorate('authorise', createAuthorise(config.auth, uses, used))
  if (config.auth.signedLinks === undefined) return
  const tidyUp = (): void => { used.tidyUp().catch((error: unknown) => { app.log.error({ err: error }, 'links that have expired cannot be forgotten') }) }
  tidyUp()
  const timer = setInterval(tidyUp, TIDY_MS).unref()
  app.addHook('onClose', async () => { clearInterval(timer) })
}, { name: 'auth', dependencies: ['config', 'errors'] })
