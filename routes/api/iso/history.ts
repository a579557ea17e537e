import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { historyOfDownload, historyOfPrint, mentions, readHistory, studiesOfHistory, type History } from '../../../src/audit/history.ts'
import { historyEntryState, HistoryState } from '../../../src/http/desk-state.ts'
import { errorResponses } from '../../../src/http/schemas.ts'
import { isUnderWay } from '../../../src/print/print-job.ts'
import type { HistoryEntry } from '../../../src/work/history-entry.ts'

const MOST = 100

const routes: FastifyPluginAsyncTypebox = async app => {
  if (!app.config.desk.enabled) return
  const { file } = app.config.audit

  /** Newest first. What is under way stands in the queue, and a print by what its journal knows. */
  const historyOf = async (wanted: (entry: HistoryEntry) => boolean): Promise<History> => {
    const jobs = app.prints.jobs.map(job => job.record)
    const known = new Set(jobs.flatMap(({ id, requestId }) => [id, requestId]))
    const isRunning = (id: string): boolean => app.activities.running.some(activity => activity.id === id)
    const isNews = ({ kind, activityId, requestId }: HistoryEntry): boolean => !isRunning(activityId) && !(kind === 'print' && (known.has(activityId) || known.has(requestId)))
    const prints = jobs.filter(record => !isUnderWay(record)).map(historyOfPrint).filter(wanted)
    const remembered = app.activities.finished.filter(({ kind }) => kind === 'download').map(historyOfDownload).filter(wanted)
    const others = file === '' ? { entries: remembered, cut: false } : await readHistory(file, entry => isNews(entry) && wanted(entry), MOST)
    const entries = [...others.entries, ...prints].sort((a, b) => Date.parse(b.at) - Date.parse(a.at))
    return { entries: entries.slice(0, MOST), cut: others.cut || entries.length > MOST }
  }

  app.get('/history', {
    onRequest: app.authoriseDesk,
    schema: {
      tags: ['desk'],
      summary: 'Who has had what',
      description: 'Downloads and looks from the audit file (audit.file), prints from their journal; the last hundred. It names patients, so it is recorded itself.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({
        text: Type.Optional(Type.String({ maxLength: 64, description: 'A part of an accession number, of a Patient ID, of a name, or of who it was.', examples: ['doe'] }))
      }),
      response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'AUDIT_FAILED'), 200: HistoryState }
    }
  }, async (request, reply) => {
    const { text = '' } = request.query
    const { entries, cut } = await historyOf(entry => mentions(entry, text.trim()))
    const studies = studiesOfHistory(entries)
    const accessionNumbers = [...new Set(entries.flatMap(entry => entry.accessionNumbers))]
    if (studies.length > 0) app.audit.telling({ requestId: request.id, caller: request.caller, accessionNumbers }, studies)
    return reply.header('cache-control', 'no-store').send({ entries: entries.map(historyEntryState), cut, source: file === '' ? 'memory' as const : 'audit' as const })
  })
}

export default routes
