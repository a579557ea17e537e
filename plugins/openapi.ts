/** OpenAPI from the routes' schemas, and Swagger UI with files of its own. */
import fp from 'fastify-plugin'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi, { type FastifySwaggerUiOptions } from '@fastify/swagger-ui'
import { PRODUCT } from '../src/product.ts'

export const options: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.0.3',
    info: { title: PRODUCT.name, version: PRODUCT.version, description: 'Fetches a study from the PACS by accession number and streams it as a disc image, or sends it to the CD publisher.' },
    tags: [{ name: 'disc', description: 'Downloads and prints' }, { name: 'health', description: 'For monitoring' }],
    components: { securitySchemes: { apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' } } }
  }
}

export const uiOptions: FastifySwaggerUiOptions = { routePrefix: '/docs', uiConfig: { persistAuthorization: true, tryItOutEnabled: true } }

export default fp(async app => {
  await app.register(swagger, options)
  await app.register(swaggerUi, uiOptions)
}, { name: 'openapi', dependencies: ['errors'] })
