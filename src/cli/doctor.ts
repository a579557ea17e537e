/** `mkiso doctor` for a person, or as JSON for a program. */
import { styleText } from 'node:util'
import type { Config } from '../config/schema.ts'
import { examine } from '../doctor/doctor.ts'
import type { Finding } from '../doctor/finding.ts'
import { PRODUCT } from '../product.ts'
import type { Arguments } from './arguments.ts'
import { EXIT } from './exit-codes.ts'
import { interrupted } from './interrupted.ts'
import { findService } from './service.ts'

const MARKS = { ok: ['ok', 'green'], warning: ['warning', 'yellow'], unknown: ['?', 'yellow'], down: ['FAIL', 'red'] } as const

export async function doctor (config: Config, { config: file, values }: Pick<Arguments, 'config' | 'values'>): Promise<number> {
  const json = values.json === true
  const say = (text: string): void => { if (!json) process.stdout.write(`${text}\n`) }
  const ctrlC = interrupted()
  try {
    say(`${PRODUCT.name} ${PRODUCT.version}\n`)
    const findings = await examine(config, {
      file,
      accessionNumber: values.accession,
      serviceUrl: await findService(config),
      signal: ctrlC.signal,
      onFinding: finding => { say(line(finding)) }
    })
    const count = (status: Finding['status']): number => findings.filter(finding => finding.status === status).length
    if (json) process.stdout.write(`${JSON.stringify({ version: PRODUCT.version, findings }, null, 2)}\n`)
    say(`\n${count('ok')} ok, ${count('warning')} warnings, ${count('unknown')} could not be told, ${count('down')} to change`)
    return count('down') > 0 ? EXIT.failed : EXIT.ok
  } catch (error) {
    if (ctrlC.signal.aborted) return EXIT.interrupted
    throw error
  } finally {
    ctrlC.end()
  }
}

function line ({ name, status, detail, advice = [] }: Finding): string {
  const [mark, color] = MARKS[status]
  const shown = mark.padEnd(8)
  return [`${process.stdout.isTTY === true ? styleText(color, shown) : shown} ${name.padEnd(14)} ${detail}`, ...advice.map(text => `${' '.repeat(24)}${text}`)].join('\n')
}
