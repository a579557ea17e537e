/**
 * The OpenAPI document as the makers of clients want it: each operation with a name, schemas that are used again and again under one name, HEAD where it
 * is answered. It is made of what the routes say, and nothing of it stands there a second time.
 */
import { ERRORS } from '../errors.ts'
import { withAnswerExamples } from './openapi-examples.ts'

type Node = Record<string, unknown>

const METHODS = ['get', 'head', 'post', 'delete'] as const
/** The name of the schema that every error has. */
const ERROR_SCHEMA = 'Error'

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value)
const reference = (name: string): Node => ({ $ref: `#/components/schemas/${name}` })

/** @param document as @fastify/swagger has put it together; it is changed */
export function finishedDocument<T extends object> (document: T): T {
  const root = withAnswerExamples(document) as Node
  const schemas: Node = {}
  for (const [path, item] of Object.entries(isNode(root['paths']) ? root['paths'] : {})) {
    if (!isNode(item)) continue
    for (const method of METHODS) {
      const operation = item[method]
      if (!isNode(operation)) continue
      operation['operationId'] = operationId(method, path)
      for (const response of nodes(operation['responses'])) for (const media of nodes(response['content'])) nameSchemas(media, schemas)
    }
    if (isNode(item['get'])) item['head'] = headOf(item['get'], path)
  }
  root['components'] = { ...isNode(root['components']) ? root['components'] : {}, schemas }
  return document
}

/** `GET /api/iso/print/jobs/{id}` is `getIsoPrintJobsById`. */
function operationId (method: string, path: string): string {
  const words = path.replace(/^\/api\//, '/').split('/').filter(word => word !== '')
  return method + words.map(word => word.startsWith('{') ? `By${capital(word.slice(1, -1))}` : word.split(/[-_.]/).map(capital).join('')).join('')
}

function capital (word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

/** The headers of GET, and no body; it never acts (plugins/head.ts). */
function headOf (get: Node, path: string): Node {
  const responses = Object.fromEntries(Object.entries(isNode(get['responses']) ? get['responses'] : {}).filter(([status]) => status !== '206').map(([status, response]) => {
    const { content: _, ...rest } = isNode(response) ? response : {}
    return [status, rest]
  }))
  const { tags, security, parameters } = get
  return {
    operationId: operationId('head', path),
    ...tags === undefined ? {} : { tags },
    summary: 'The headers only; changes, moves and prints nothing',
    ...security === undefined ? {} : { security },
    ...parameters === undefined ? {} : { parameters },
    responses
  }
}

/** Puts what has a title among the schemas with a name, and a reference in its place; errors are one schema with the codes that each answer can have. */
function nameSchemas (media: Node, schemas: Node): void {
  const { schema } = media
  if (!isNode(schema)) return
  const codes = isNode(schema['properties']) ? schema['properties']['code'] : undefined
  if (isNode(codes) && Array.isArray(codes['enum']) && codes['enum'].every(code => typeof code === 'string' && code in ERRORS)) {
    const { error, code, job } = schema['properties'] as Node
    schemas[ERROR_SCHEMA] ??= errorSchema(schema)
    media['schema'] = {
      allOf: [reference(ERROR_SCHEMA), { type: 'object', properties: { error, code, ...job === undefined ? {} : { job: named(job, schemas) } } }],
      ...schema['description'] === undefined ? {} : { description: schema['description'] }
    }
    return
  }
  media['schema'] = named(schema, schemas)
}

function errorSchema ({ type, required, properties }: Node): Node {
  const { job: _, ...common } = properties as Node
  return {
    type,
    required,
    properties: {
      ...common,
      error: { type: 'string', description: 'What happened.', enum: [...new Set(Object.values(ERRORS).map(({ error }) => error))] },
      code: { type: 'string', description: 'The same for a program; never changes.', enum: Object.keys(ERRORS) }
    }
  }
}

function named (value: unknown, schemas: Node): unknown {
  if (Array.isArray(value)) return value.map(one => named(one, schemas))
  if (!isNode(value)) return value
  const { title, ...rest } = value
  const inside = Object.fromEntries(Object.entries(rest).map(([key, one]) => [key, named(one, schemas)]))
  // a property may be called title; a schema's is a text
  if (typeof title !== 'string') return title === undefined ? inside : { ...inside, title: named(title, schemas) }
  schemas[title] ??= inside
  return reference(title)
}

function nodes (value: unknown): Node[] {
  return isNode(value) ? Object.values(value).filter(isNode) : []
}
