/** The command line's arguments: what they mean, and which are refused. */
import t from 'tap'
import { COMMAND_USAGE, COMMANDS, parseArguments, USAGE, UsageError } from '../../src/cli/arguments.ts'

t.test('what they mean', async t => {
  t.match(parseArguments([], {}), { command: 'serve', config: 'config/mkiso.yaml' })
  t.match(parseArguments([], { MKISO_CONFIG: '/etc/mkiso.yaml' }), { config: '/etc/mkiso.yaml' })
  t.match(parseArguments(['--config', 'x.yaml', '--check-config'], { MKISO_CONFIG: 'y' }), { command: 'serve', config: 'x.yaml', values: { 'check-config': true } }, 'as the original starts')
  t.match(parseArguments(['--config=x.yaml', 'doctor', '--accession', 'CT.1', '--json']), { command: 'doctor', config: 'x.yaml', values: { accession: 'CT.1', json: true } })
})

t.test('what is refused', async t => {
  for (const [args, sentence] of [
    [['--nonsense'], /Unknown option '--nonsense'/],
    [['nonsense'], /there is no command nonsense/],
    [['doctor', 'CT.1'], /doctor takes no CT\.1/],
    [['serve', '--json'], /serve has no option --json/],
    [['--config'], /--config/]
  ] as const) {
    t.match(refusal(args), sentence)
  }
})

function refusal (args: readonly string[]): string | undefined {
  try {
    parseArguments(args)
    return undefined
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
}

t.test('each command is explained', async t => {
  for (const command of COMMANDS) {
    t.match(USAGE, new RegExp(`mkiso \\[?${command}`))
    t.match(COMMAND_USAGE[command], new RegExp(`^mkiso \\[?${command}(?:.+\n)+\n`))
  }
})
