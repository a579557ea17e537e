/** The configuration and the service's temporary folder, for all that follow. */
import fp from 'fastify-plugin'
import type { Config } from '../src/config/schema.ts'
import { createWorkDir, WorkDirSweep } from '../src/work-dir.ts'

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
  const { temp_dir: tempDir } = config.iso
  const sweep = new WorkDirSweep(tempDir, app.log)
  await sweep.run()
  const workDir = await createWorkDir(tempDir, app.log)
  app.decorate('workDir', workDir.path)
  const stopTending = sweep.tend(workDir.path)
  app.addHook('onClose', async () => {
    stopTending()
    await workDir.remove()
  })
}, { name: 'config' })
