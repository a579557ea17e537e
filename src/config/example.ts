import type { TSchema } from '@sinclair/typebox'
import { dump } from 'js-yaml'
import { ConfigSchema } from './schema.ts'

/** Keys that every site must look at; the others may stay as they are. */
const SITE = new Set(['auth.api_key', 'pacs.ae_title', 'pacs.host', 'pacs.port', 'our_ae.ae_title', 'our_ae.base_port', 'patient_api.base_url', 'cd_publisher.host', 'cd_publisher.port',
  'cd_publisher.ae_title', 'iso.microdicom_path', 'iso.temp_dir', 'disc.institution', 'disc.contact', 'disc.language'])

/** The configuration with every key, its default and its meaning. What a site need not touch is commented out. */
export function exampleYaml (): string {
  const lines = [
    '# mkiso-server: every key, with its default. Copy to mkiso.yaml and change what is not commented out.',
    '# Each key can come from the environment: MKISO_PACS__HOST=pacs.example; MKISO_AUTH__API_KEY_FILE=/run/secrets/key reads a file.',
    '# Check a file without starting: npm start -- --config FILE --check-config'
  ]
  for (const [sectionName, section] of Object.entries(ConfigSchema.properties)) {
    lines.push('', `# ${String(section.description)}`)
    if (!('properties' in section)) {
      lines.push(`#${sectionName}:${defaultOf(section)}`)
      continue
    }
    lines.push(`${sectionName}:`)
    const keys: Record<string, TSchema> = section.properties
    for (const [key, schema] of Object.entries(keys)) {
      const touched = SITE.has(`${sectionName}.${key}`)
      lines.push(`  # ${schema.description ?? ''}${choicesOf(schema)}`)
      const inner = schema['properties'] as Record<string, TSchema> | undefined
      if (inner !== undefined) {
        lines.push(`  #${key}:`)
        for (const [innerKey, innerSchema] of Object.entries(inner)) lines.push(`    # ${innerSchema.description ?? ''}${choicesOf(innerSchema)}`, `    #${innerKey}:${defaultOf(innerSchema)}`)
        continue
      }
      lines.push(`  ${touched ? '' : '#'}${key}:${defaultOf(schema)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function choicesOf (schema: TSchema): string {
  return Array.isArray(schema['choices']) ? ` (${schema['choices'].join(', ')})` : ''
}

function defaultOf (schema: TSchema): string {
  return schema['default'] === undefined ? '' : ` ${dump(schema['default'], { flowLevel: 0, flowBracketPadding: true, quoteStyle: 'double', lineWidth: -1 }).trim()}`
}
