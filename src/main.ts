#!/usr/bin/env node
/** The process: arguments, configuration, listen, signals. */
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { FastifyServerOptions } from 'fastify'
import { buildApp } from './app.ts'
import { ConfigError, loadConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import { PRODUCT } from './product.ts'

const USAGE = `${PRODUCT.name} ${PRODUCT.version}

  npm start -- [--config FILE] [--check-config]

  --config FILE    the configuration, default config/mkiso.yaml
  --check-config   check it, say what is wrong, and end
  --help           this text
  --version        the version
`

async function main (): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: 'config/mkiso.yaml' },
      'check-config': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false }
    }
  })
  if (values.help) { process.stdout.write(USAGE); return }
  if (values.version) { process.stdout.write(`${PRODUCT.version}\n`); return }
  const config = loadConfig(values.config)
  if (values['check-config']) { process.stdout.write(`${values.config} is right\n`); return }

  // patients' pictures are for this user's eyes only
  process.umask(0o077)
  const app = await buildApp(config, loggerOf(config))
  // a margin for what comes after the grace: programs to end, folders to remove
  const closing = closeWithGrace({ delay: config.server.shutdownGraceMs + 15_000, logger: app.log }, async ({ err, signal }) => {
    if (err !== undefined) app.log.error({ err }, 'an error that nobody caught; the service ends')
    else app.log.info({ signal }, 'a signal to end')
    await app.close()
  })
  try {
    await app.listen({ host: config.server.host, port: config.server.port })
  } catch (error) {
    closing.uninstall()
    await app.close()
    throw error
  }
}

function loggerOf ({ log }: Config): FastifyServerOptions['logger'] {
  if (log.level === 'silent') return false
  return {
    level: log.level,
    // pid is a program's in our lines
    base: null,
    ...(log.pretty ? { transport: { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' } } } : {})
  }
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) process.stderr.write(`${error.faults.join('\n')}\n`)
  else process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
