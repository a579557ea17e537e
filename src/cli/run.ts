/** From arguments to an exit code. */
import { ConfigError, loadConfig } from '../config/load.ts'
import { PRODUCT } from '../product.ts'
import { COMMAND_USAGE, parseArguments, USAGE, UsageError } from './arguments.ts'
import { doctor } from './doctor.ts'
import { EXIT } from './exit-codes.ts'

const say = (text: string): void => { process.stdout.write(text) }
const complain = (text: string): void => { process.stderr.write(`${text}\n`) }

/** @returns the exit code; the service goes on after that, and ends the process itself */
export async function run (args: readonly string[]): Promise<number> {
  try {
    const given = parseArguments(args)
    const { command, values } = given
    if (values.help === true) { say(args.includes(command) ? COMMAND_USAGE[command] : USAGE); return EXIT.ok }
    if (values.version === true) { say(`${PRODUCT.version}\n`); return EXIT.ok }
    const config = loadConfig(given.config)
    if (values['check-config'] === true) { say(`${given.config} is right\n`); return EXIT.ok }
    // patients' pictures are for this user's eyes only
    process.umask(0o077)
    switch (command) {
      // a help text need not wait for a web server to load
      case 'serve': await (await import('./serve.ts')).serve(config, given.config); return EXIT.ok
      case 'make': return await (await import('./make.ts')).make(config, given)
      case 'link': return await (await import('./link.ts')).link(config, given)
      case 'doctor': return await doctor(config, given)
    }
  } catch (error) {
    if (error instanceof UsageError) {
      complain(`mkiso: ${error.message}; mkiso --help tells what there is`)
      return EXIT.usage
    }
    complain(error instanceof ConfigError ? error.faults.join('\n') : error instanceof Error ? error.message : String(error))
    return EXIT.fault
  }
}
