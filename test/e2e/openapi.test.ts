/** The OpenAPI document is valid, lists every status that a route sends, its examples are what it says, and a client that is made of it works. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import SwaggerParser from '@apidevtools/swagger-parser'
import { Ajv } from 'ajv'
import openapiTS, { astToString } from 'openapi-typescript'
import type { OpenAPIV3 } from 'openapi-types'
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { ERRORS } from '../../src/errors.ts'
import { service } from '../world.ts'

t.test('OpenAPI', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort(), { desk: { enabled: true }, audit: { user_header: 'X-Remote-User' } })
  const document = (await mkiso.get('/docs/json')).json()
  const api = await SwaggerParser.validate(structuredClone(document) as unknown as OpenAPIV3.Document) as OpenAPIV3.Document
  t.strictSame(Object.keys(api.paths).sort(), ['/api/health', '/api/health/live', '/api/iso/download', '/api/iso/download-multiple', '/api/iso/history', '/api/iso/link', '/api/iso/print', '/api/iso/print/jobs',
    '/api/iso/print/jobs/{id}', '/api/iso/print/jobs/{id}/acknowledge', '/api/iso/print/jobs/{id}/events', '/api/iso/progress', '/api/iso/queue', '/api/iso/queue/events', '/api/iso/queue/{id}',
    '/api/iso/search', '/api/iso/studies', '/desk', '/download', '/look', '/metrics', '/print', '/status', '/status/activities/{id}', '/status/events', '/status/snippets',
    '/status/state', '/status/test'])
  const statuses = (path: string, method: 'get' | 'post' = 'get'): string[] => Object.keys(api.paths[path]?.[method]?.responses ?? {})
  const retrieval = ['200', '400', '401', '404', '409', '410', '429', '500', '502', '503', '504', '507']
  const discs = [...retrieval, '206', '413', '416'].sort()
  t.strictSame(statuses('/api/iso/download'), discs)
  t.strictSame(statuses('/api/iso/download-multiple'), discs)
  const print = [...retrieval, '403', '422'].sort()
  t.strictSame(statuses('/api/iso/print'), print)
  t.strictSame(statuses('/api/iso/print', 'post'), [...print, '202'].sort())
  t.strictSame(statuses('/api/iso/progress'), retrieval)
  t.strictSame(statuses('/api/iso/studies'), retrieval)
  const ajv = new Ajv({ strict: false, formats: { uuid: true } })
  const operationIds = new Set<string>()
  t.ok((api.servers ?? []).length > 0, 'where it is')
  const tags = new Set((api.tags ?? []).map(({ name }) => name))
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of ['get', 'head', 'post', 'delete'] as const) {
      const operation = item?.[method]
      if (operation === undefined) continue
      const { operationId = '' } = operation
      t.match(operationId, /^[a-z]+[A-Za-z]*$/, `a name: ${method} ${path}`)
      t.notOk(operationIds.has(operationId), `of its own: ${operationId}`)
      operationIds.add(operationId)
      t.ok((operation.tags ?? []).length > 0 && (operation.tags ?? []).every(tag => tags.has(tag)), `a tag that is described: ${method} ${path}`)
      if (method === 'get') t.ok(item?.head, `HEAD: ${path}`)
      for (const [status, response] of Object.entries(operation.responses)) {
        for (const [type, media] of Object.entries('content' in response ? response.content ?? {} : {})) {
          if (method === 'head') t.fail(`a body for HEAD: ${path}`)
          if (['application/octet-stream', 'application/zip'].includes(type)) continue
          const several = Object.values(media.examples ?? {}).map(one => (one as OpenAPIV3.ExampleObject).value as unknown)
          const examples = media.example === undefined ? several : [media.example as unknown]
          t.ok(examples.length > 0, `an example: ${method} ${path} ${status} ${type}`)
          const fits = ajv.compile(media.schema ?? false)
          for (const example of examples) {
            t.ok(fits(example), `it is what the schema says: ${method} ${path} ${status}: ${ajv.errorsText(fits.errors)}`)
            if (type !== 'text/event-stream') continue
            t.type(JSON.parse(String(example).replace(/^data: /, '')), 'object', `an event that parses: ${method} ${path}`)
          }
        }
      }
    }
  }
  t.strictSame(statuses('/api/health'), ['200', '400', '500', '503'])
  const body = (path: string, status: string): OpenAPIV3.SchemaObject => {
    const response = api.paths[path]?.get?.responses[status] as OpenAPIV3.ResponseObject
    const { allOf: [, ofThisAnswer] = [] } = response.content?.['application/json']?.schema as OpenAPIV3.SchemaObject
    return ofThisAnswer as OpenAPIV3.SchemaObject
  }
  const codes = (body('/api/iso/print', '502').properties?.['code'] as OpenAPIV3.SchemaObject).enum ?? []
  t.ok(codes.includes('CD_PUBLISHER_REFUSED') && codes.includes('INCOMPLETE_RETRIEVAL'), 'a code for each sentence')
  t.ok(codes.every(code => ERRORS[code as keyof typeof ERRORS].status === 502))
  const disc = api.paths['/api/iso/download']?.get?.responses['200'] as OpenAPIV3.ResponseObject
  t.ok(disc.content?.['application/octet-stream'], 'the disc is a stream')
  t.equal((await mkiso.get('/docs')).status, 200, 'Swagger UI')
  t.match((await mkiso.get('/docs/')).body.toString(), /swagger-ui/)
})

t.test('a client that openapi-typescript makes', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort())
  // inside of the project, where the client finds its library
  const folder = t.testdir({ 'package.json': '{"type":"module"}' })
  const document = (await mkiso.get('/docs/json')).json()
  const named = Object.keys((document['components'] as OpenAPIV3.ComponentsObject).schemas ?? {})
  for (const name of ['Error', 'Print', 'Activity', 'Health', 'ServiceState']) t.ok(named.includes(name), `a schema with a name: ${name}`)
  writeFileSync(join(folder, 'api.ts'), astToString(await openapiTS(JSON.stringify(document))))
  writeFileSync(join(folder, 'client.ts'), `
    import createClient from 'openapi-fetch'
    import type { components, paths } from './api.ts'
    const client = createClient<paths>({ baseUrl: ${JSON.stringify(mkiso.url)} })
    const health = await client.GET('/api/health')
    const known: components['schemas']['Health'] | undefined = health.data
    const print = await client.POST('/api/iso/print', { params: { query: { accession_number: 'X' } } })
    const error: components['schemas']['Error'] | undefined = print.error
    const jobs = await client.GET('/api/iso/print/jobs', { params: { query: { accession_number: 'X' } } })
    console.log(JSON.stringify({ health: health.response.status, known: known?.status ?? 'down', code: error?.code, jobs: jobs.data?.jobs.length }))
  `)
  const run = promisify(execFile)
  const bin = (name: string): string => join(import.meta.dirname, '../../node_modules/.bin', name)
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--allowImportingTsExtensions', '--types', 'node', '--skipLibCheck']
  await t.resolves(run(bin('tsc'), [...options, join(folder, 'client.ts')]), 'its types hold')
  const { stdout } = await run(bin('tsx'), [join(folder, 'client.ts')])
  t.match(JSON.parse(stdout), { health: 503, known: 'down', code: 'PACS_UNREACHABLE', jobs: 1 }, 'the print that failed is among them')
})
