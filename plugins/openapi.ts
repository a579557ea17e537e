/** OpenAPI from the routes' schemas, and Swagger UI with files of its own. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fp from 'fastify-plugin'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi, { type FastifySwaggerUiOptions } from '@fastify/swagger-ui'
import { finishedDocument } from '../src/http/openapi-document.ts'
import { PRODUCT } from '../src/product.ts'

export const options: FastifyDynamicSwaggerOptions = {
  transformObject: document => 'openapiObject' in document ? finishedDocument(document.openapiObject) : document.swaggerObject,
  openapi: {
    openapi: '3.0.3',
    info: { title: PRODUCT.name, version: PRODUCT.version, description: 'Fetches a study from the PACS by accession number and streams it as a disc image, or sends it to the CD publisher.' },
    // wherever it stands: behind nginx it has another address
    servers: [{ url: '/' }],
    tags: [{ name: 'disc', description: 'Downloads and prints' }, { name: 'desk', description: 'Finding patients, the queue, and who has had what (desk.enabled)' }, { name: 'pages', description: 'For people, in a browser' }, { name: 'operator', description: 'What runs, and to end it' }, { name: 'health', description: 'For monitoring' }],
    components: { securitySchemes: { apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' } } }
  }
}

function asset (name: string): string {
  return readFileSync(join(import.meta.dirname, '../src/http/screens', name), 'utf8')
}

export const uiOptions: FastifySwaggerUiOptions = {
  routePrefix: '/docs',
  // what these leave out (a bar for other documents, links inside of buttons, colours) keeps people with a screen reader out
  uiConfig: { layout: 'BaseLayout', deepLinking: false, syntaxHighlight: { activate: false }, tryItOutEnabled: true, displayRequestDuration: true },
  theme: { title: `${PRODUCT.name}: API`, css: [{ filename: 'mkiso.css', content: asset('swagger.css') }], js: [{ filename: 'mkiso.js', content: asset('swagger.js') }] }
}

export default fp(async app => {
  await app.register(swagger, options)
  await app.register(swaggerUi, uiOptions)
  // Swagger UI's pages are a context of their own, for which hooks that are added later do not run
}, { name: 'openapi', dependencies: ['errors', 'lifecycle', 'helmet', 'rate-limit', 'under-pressure', 'metrics'] })
