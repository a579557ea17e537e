/** JSON Schema has examples in the schema; OpenAPI 3.0 wants them beside it, with names (Media Type Object). */
import { ERRORS } from '../errors.ts'

type Node = Record<string, unknown>

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Moves the examples of every answer to where OpenAPI has them. */
export function withAnswerExamples<T extends object> (document: T): T {
  for (const path of nodes((document as Node)['paths'])) {
    for (const operation of nodes(path)) {
      for (const response of nodes(operation['responses'])) for (const media of nodes(response['content'])) lift(media)
    }
  }
  return document
}

function lift (media: Node): void {
  const { schema } = media
  if (!isNode(schema)) return
  // @fastify/swagger has lifted some already
  const lifted = 'example' in media ? [media['example']] : nodes(media['examples']).map(({ value }) => value)
  const values = [...lifted, ...take(schema)]
  if (values.length === 0) return
  // one of the two only; a choice of one would be a box with nothing to choose
  delete media['example']
  delete media['examples']
  if (values.length === 1) {
    media['example'] = values[0]
    return
  }
  media['examples'] = Object.fromEntries(values.map((value, index) => {
    const code = isNode(value) ? value['code'] : undefined
    const row = typeof code === 'string' && code in ERRORS ? ERRORS[code as keyof typeof ERRORS] : undefined
    return row === undefined ? [`example${index === 0 ? '' : index + 1}`, { value }] : [code, { summary: `${row.error}: ${row.advice}`, value }]
  }))
}

/** The examples of a schema and of what it is one of; those of parts inside are for nobody. */
function take (schema: Node): unknown[] {
  const { examples, anyOf } = schema
  delete schema['examples']
  const alternatives = Array.isArray(anyOf) ? anyOf.filter(isNode).flatMap(take) : []
  for (const part of [...nodes(schema['properties']), ...nodes({ items: schema['items'] })]) take(part)
  return [...(Array.isArray(examples) ? examples as unknown[] : []), ...alternatives]
}

function nodes (value: unknown): Node[] {
  return isNode(value) ? Object.values(value).filter(isNode) : []
}
