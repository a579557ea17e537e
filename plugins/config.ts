/** The configuration and the service's temporary folder, for all that follow. */
import fp from 'fastify-plugin'
import type { Config } from '../src/config/schema.ts'
import { createWorkDir, removeWorkDir, sweepStaleWorkDirs, tendWorkDirs } from '../src/work-dir.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    /** Folder for everything temporary; removed when the service stops. */
    workDir: string
  }
}

export interface ConfigPluginOptions { config: Config }

export default fp<ConfigPluginOptions>(async (app, { config }) => {
  app.decorate('config', config)
  await sweepStaleWorkDirs(config.iso.temp_dir, app.log)
  const workDir = await createWorkDir(config.iso.temp_dir)
  app.decorate('workDir', workDir)
  const stopTending = tendWorkDirs(config.iso.temp_dir, workDir, app.log)
  app.addHook('onClose', async () => {
    stopTending()
    await removeWorkDir(workDir)
  })
}, { name: 'config' })
