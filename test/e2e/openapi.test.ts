/** The OpenAPI document is valid, and lists every status that a route sends. */
import SwaggerParser from '@apidevtools/swagger-parser'
import type { OpenAPIV3 } from 'openapi-types'
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { ERRORS } from '../../src/errors.ts'
import { service } from '../world.ts'

t.test('OpenAPI', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort())
  const document = (await mkiso.get('/docs/json')).json()
  const api = await SwaggerParser.validate(structuredClone(document) as unknown as OpenAPIV3.Document) as OpenAPIV3.Document
  t.strictSame(Object.keys(api.paths).sort(), ['/api/health', '/api/health/live', '/api/iso/download', '/api/iso/download-multiple', '/api/iso/print', '/api/iso/print/jobs',
    '/api/iso/print/jobs/{id}', '/api/iso/print/jobs/{id}/acknowledge', '/api/iso/print/jobs/{id}/events', '/api/iso/progress', '/api/iso/studies',
    '/download', '/metrics', '/print', '/status', '/status/activities/{id}', '/status/events', '/status/state'])
  const statuses = (path: string, method: 'get' | 'post' = 'get'): string[] => Object.keys(api.paths[path]?.[method]?.responses ?? {})
  const retrieval = ['200', '400', '401', '404', '409', '429', '500', '502', '503', '504', '507']
  const discs = [...retrieval, '206', '413', '416'].sort()
  t.strictSame(statuses('/api/iso/download'), discs)
  t.strictSame(statuses('/api/iso/download-multiple'), discs)
  const print = [...retrieval, '403', '422'].sort()
  t.strictSame(statuses('/api/iso/print'), print)
  t.strictSame(statuses('/api/iso/print', 'post'), [...print, '202'].sort())
  t.strictSame(statuses('/api/iso/progress'), retrieval)
  t.strictSame(statuses('/api/iso/studies'), retrieval)
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of ['get', 'post', 'delete'] as const) {
      for (const [status, response] of Object.entries(item?.[method]?.responses ?? {})) {
        for (const [type, media] of Object.entries('content' in response ? response.content ?? {} : {})) {
          if (!['application/octet-stream', 'application/zip'].includes(type)) t.ok(media.example !== undefined || Object.keys(media.examples ?? {}).length > 1, `an example: ${method} ${path} ${status} ${type}`)
        }
      }
    }
  }
  t.strictSame(statuses('/api/health'), ['200', '400', '500', '503'])
  const body = (path: string, status: string): OpenAPIV3.SchemaObject => {
    const response = api.paths[path]?.get?.responses[status] as OpenAPIV3.ResponseObject
    return response.content?.['application/json']?.schema as OpenAPIV3.SchemaObject
  }
  const codes = (body('/api/iso/print', '502').properties?.['code'] as OpenAPIV3.SchemaObject).enum ?? []
  t.ok(codes.includes('CD_PUBLISHER_REFUSED') && codes.includes('INCOMPLETE_RETRIEVAL'), 'a code for each sentence')
  t.ok(codes.every(code => ERRORS[code as keyof typeof ERRORS].status === 502))
  const disc = api.paths['/api/iso/download']?.get?.responses['200'] as OpenAPIV3.ResponseObject
  t.ok(disc.content?.['application/octet-stream'], 'the disc is a stream')
  t.equal((await mkiso.get('/docs')).status, 200, 'Swagger UI')
  t.match((await mkiso.get('/docs/')).body.toString(), /swagger-ui/)
})
