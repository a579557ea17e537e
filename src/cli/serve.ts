/** The service as a process: listen, and the signals that end it. */
import closeWithGrace from 'close-with-grace'
import { buildApp } from '../app.ts'
import type { Config } from '../config/schema.ts'
import { loggerOf } from './logger.ts'

/** @returns when it listens */
export async function serve (config: Config, configFile: string): Promise<void> {
  const app = await buildApp(config, loggerOf(config.log), configFile)
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
