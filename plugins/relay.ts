/** Prints: studies to the CD publisher, each once, over restarts too. */
import fp from 'fastify-plugin'
import { nameFromDicom } from '../src/disc/file-name.ts'
import { PrintQueue } from '../src/print/print-queue.ts'
import { createFetch, Robot } from '../src/print/relay.ts'
import { openJournal, tidyUp } from '../src/print/state-folder.ts'
import { toMkisoError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance { prints: PrintQueue }
}

export default fp(async app => {
  const { config, studyStore, workDir, dcmtk, activities, audit } = app
  const journal = await openJournal(config, workDir, app.log)
  const prints = new PrintQueue({
    journal,
    robot: new Robot({ ...dcmtk, config, workDir }),
    fetch: createFetch(studyStore),
    patientOf: async (accessionNumbers, asking) => await app.patientOf(accessionNumbers, asking),
    nameIn: manifest => nameFromDicom(manifest.studies[0]?.patient.patientName ?? ''),
    onTransfer: (activity, manifest) => { audit.transferring(activity, manifest) },
    activities,
    toMkisoError,
    logOf: requestId => app.log.child({ request_id: requestId }),
    retryForMs: config.relay.retryForMs,
    askAgainWithinMs: config.relay.askAgainWithinMs
  })
  app.decorate('prints', prints)
  // what is on its way to the robot has the time that downloads have
  app.underWay.add(() => prints.sending)
  // when everybody who listens to activities is there
  app.addHook('onReady', async () => { await prints.start() })
  app.addHook('preClose', async () => { prints.close() })
  app.addHook('onClose', async () => {
    await prints.end()
    await journal.close()
    await tidyUp(config)
  })
}, { name: 'relay', dependencies: ['config', 'errors', 'lifecycle', 'dcmtk', 'retrieval', 'activity', 'audit', 'patient-client'] })
