/** The composition: plugins, then routes. The process around it is main.ts. */
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Config } from './config/schema.ts'
import activity from '../plugins/activity.ts'
import audit from '../plugins/audit.ts'
import auth from '../plugins/auth.ts'
import requestCaller from '../plugins/request-caller.ts'
import config from '../plugins/config.ts'
import dcmtk from '../plugins/dcmtk.ts'
import errors, { clientErrorHandler, frameworkErrors } from '../plugins/errors.ts'
import events from '../plugins/events.ts'
import head from '../plugins/head.ts'
import healthPlugin from '../plugins/health.ts'
import helmet from '../plugins/helmet.ts'
import iso from '../plugins/iso.ts'
import lifecycle, { requestId } from '../plugins/lifecycle.ts'
import metricsPlugin from '../plugins/metrics.ts'
import openapi from '../plugins/openapi.ts'
import patientClient from '../plugins/patient-client.ts'
import portPool from '../plugins/port-pool.ts'
import preparations from '../plugins/preparations.ts'
import rateLimit from '../plugins/rate-limit.ts'
import relay from '../plugins/relay.ts'
import retrieval from '../plugins/retrieval.ts'
import sameOrigin from '../plugins/same-origin.ts'
import screens from '../plugins/screens.ts'
import sendDisc from '../plugins/send-disc.ts'
import sensible from '../plugins/sensible.ts'
import serviceState from '../plugins/service-state.ts'
import underPressure from '../plugins/under-pressure.ts'
import health from '../routes/api/health.ts'
import metrics from '../routes/metrics.ts'
import download from '../routes/api/iso/download.ts'
import downloadMultiple from '../routes/api/iso/download-multiple.ts'
import print from '../routes/api/iso/print.ts'
import printJobs from '../routes/api/iso/print/jobs.ts'
import progress from '../routes/api/iso/progress.ts'
import studies from '../routes/api/iso/studies.ts'
import downloadPage from '../routes/download.ts'
import printPage from '../routes/print.ts'
import statusPage from '../routes/status.ts'

/**
 * Builds the service; nothing listens until the caller says so.
 * @throws when a plugin cannot start
 */
export async function buildApp (settings: Config, logger: FastifyServerOptions['logger'] = false): Promise<FastifyInstance> {
  const app = Fastify({
    logger,
    // the default request log holds the whole address; plugins/lifecycle.ts writes one line of its own
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    trustProxy: settings.server.trust_proxy,
    requestTimeout: settings.server.readTimeoutMs,
    // a long C-MOVE is silent; connectionTimeout would cut it (measured)
    connectionTimeout: 0,
    return503OnClosing: false,
    // what never becomes a request: no HTTP, an address that cannot be decoded
    clientErrorHandler,
    frameworkErrors,
    // names both, instead of taking one of two
    ajv: { customOptions: { coerceTypes: false, allErrors: false, keywords: ['patternMeaning', 'choices'] } }
  }).withTypeProvider<TypeBoxTypeProvider>()

  await app.register(errors)
  await app.register(config, { config: settings })
  await app.register(lifecycle)
  await app.register(helmet)
  await app.register(rateLimit)
  await app.register(sensible)
  await app.register(underPressure)
  // before the routes that it lists
  await app.register(openapi)
  await app.register(auth)
  await app.register(sameOrigin)
  await app.register(requestCaller)
  await app.register(activity)
  await app.register(events)
  await app.register(screens)
  await app.register(audit)
  await app.register(portPool)
  await app.register(dcmtk)
  await app.register(retrieval)
  await app.register(iso)
  await app.register(patientClient)
  await app.register(relay)
  await app.register(healthPlugin)
  await app.register(metricsPlugin)
  await app.register(sendDisc)
  await app.register(head)
  await app.register(preparations)
  await app.register(serviceState)

  await app.register(health)
  await app.register(metrics)
  await app.register(download)
  await app.register(downloadMultiple)
  await app.register(print)
  await app.register(printJobs)
  await app.register(progress)
  await app.register(studies)
  await app.register(downloadPage)
  await app.register(printPage)
  await app.register(statusPage)
  return app
}
