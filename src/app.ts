/** The composition: plugins, then routes. The process around it is main.ts. */
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Config } from './config/schema.ts'
import { clientErrorHandler, frameworkErrors } from '../plugins/errors.ts'
import { requestId } from '../plugins/lifecycle.ts'

/** Each file is a plugin or a route, in TypeScript or built; `index` is a name like any other, and would hide its neighbours by default. */
const FILES = { scriptPattern: /(?<!\.d)\.[jt]s$/, indexPattern: /(?!)/, autoHooks: false, forceESM: true } as const

// autoload tells from the command line whether TypeScript can be loaded, and does not see `node --import tsx`; what has loaded this file can
if (import.meta.filename.endsWith('.ts')) process.env['FASTIFY_AUTOLOAD_TYPESCRIPT'] ??= 'true'

/** Loading the modules of all plugins counts as the start of one, which a busy machine may not do in the 10 s of Fastify. */
const PLUGIN_TIMEOUT_MS = 60_000

/**
 * Builds the service; nothing listens until the caller says so.
 * @param configFile path of the configuration, for what the operator's page says of it; empty where it came from elsewhere
 * @throws when a plugin cannot start
 */
export async function buildApp (settings: Config, logger: FastifyServerOptions['logger'] = false, configFile = ''): Promise<FastifyInstance> {
  const app = Fastify({
    logger,
    // the default request log holds the whole address; plugins/lifecycle.ts writes one line of its own
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    trustProxy: settings.server.trust_proxy,
    requestTimeout: settings.server.readTimeoutMs,
    // a long C-MOVE is silent; connectionTimeout would cut it (measured)
    connectionTimeout: 0,
    pluginTimeout: PLUGIN_TIMEOUT_MS,
    return503OnClosing: false,
    // what never becomes a request: no HTTP, an address that cannot be decoded
    clientErrorHandler,
    frameworkErrors,
    // names both, instead of taking one of two
    ajv: { customOptions: { coerceTypes: false, allErrors: false, keywords: ['patternMeaning', 'choices'] } }
  }).withTypeProvider<TypeBoxTypeProvider>()

  // in the order of their dependencies, which each names (fastify-plugin); the rest by name
  await app.register(autoload, { ...FILES, dir: join(import.meta.dirname, '../plugins'), maxDepth: 0, options: { config: settings, configFile } })
  // a folder is a part of the path: routes/api/iso/download.ts answers /api/iso/download
  await app.register(autoload, { ...FILES, dir: join(import.meta.dirname, '../routes') })
  return app
}
