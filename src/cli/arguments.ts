/** The arguments, and the texts that explain them. */
import { parseArgs } from 'node:util'
import { PRODUCT } from '../product.ts'

export const COMMANDS = ['serve', 'make', 'link', 'doctor'] as const
export type Command = typeof COMMANDS[number]

export const USAGE = `${PRODUCT.name} ${PRODUCT.version}

  mkiso [serve]                               run the service
  mkiso make ACCESSION[,ACCESSION] [-o FILE]  make a disc image, or a ZIP, into a file
  mkiso link ACCESSION[,ACCESSION] --for 24h  make a link for somebody who has no key, with a QR code
  mkiso doctor                                ask PACS, publisher, HIS, programs, ports and disk, and say what to change
  mkiso COMMAND --help                        more about a command

  --config FILE    the configuration; default $MKISO_CONFIG, else config/mkiso.yaml
  --check-config   check it, say what is wrong, and end
  --help, -h       this text
  --version        the version

Exit codes: 0 done, 1 configuration or this machine, 2 arguments, 3 not to be had as asked for, 4 PACS or another system, 130 Ctrl-C.
`

export const COMMAND_USAGE: Record<Command, string> = {
  serve: `mkiso [serve] [--config FILE]

Runs the service until SIGTERM or Ctrl-C: no new work, downloads under way have server.shutdown_grace, exit 0.
`,
  make: `mkiso make ACCESSION[,ACCESSION] [-o FILE] [--disc N] [--password-file FILE] [--force] [--key-file FILE] [--verbose]
           [--config FILE]

Makes a disc image, or with a FILE that ends in .zip the same files as a ZIP, into a file, with the same checks as a download. Where the service runs on this machine, it is asked, and its key is
taken from the configuration; else the disc is made here and now. The file appears under its name when it is whole and has been read back;
until then it is FILE.part. Ctrl-C leaves nothing.

  -o, --output FILE   the file; default ACCESSION.iso in this folder
  --disc N            disc N of a set (disc.capacity)
  --password-file FILE
                      file with a password of 8 to 99 characters: the ZIP is encrypted with it (AES-256)
  -f, --force         replace FILE when it exists
  --key-file FILE     file with the service's key, where the configuration does not hold it
  -v, --verbose       the log of a disc that is made here, on standard error
`,
  link: `mkiso link ACCESSION[,ACCESSION] [--for 24h] [--once] [--format iso|zip] [--series UID,UID] [--modality CT,SR] [--direct] [-o FILE] [--qr] [--base URL] [--config FILE]

Makes a signed link, good for these accession numbers until its time is over, and prints it; on a terminal with a QR code for a phone.
Whoever has the link has the images. It needs auth.signed_links.secret; the PACS is not asked.

  --for TIME          how long it is good: 30m, 24h; default and most: auth.signed_links.max_age
  --once              good for one whole download
  --format FORMAT     iso, or zip; default: what the site offers
  --series UID,UID    a part of the study: these series
  --modality CT,SR    a part of the study: series of these modalities
  --direct            a link that downloads at once, instead of the page with progress
  -o, --output FILE   the QR code as a picture, FILE.svg or FILE.png
  -f, --force         replace FILE when it exists
  --qr                the QR code, also where the output is not a terminal
  --base URL          the address by which browsers reach the service; default server.public_url
`,
  doctor: `mkiso doctor [--accession NUMBER] [--json] [--config FILE]

Asks the real things and prints a line for each: ok, warning, ? (could not be told) or FAIL, with what to change. Exit code 4 when there is
a FAIL. It fetches one image from the PACS, of the last days or of the given accession number, and throws it away.

  --accession NUMBER  an accession number that the PACS and the HIS have
  --json              for a program
`
}

/** Wrong arguments, with the sentence to print. */
export class UsageError extends Error {}

const OPTIONS = {
  config: { type: 'string' },
  'check-config': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  disc: { type: 'string' },
  'password-file': { type: 'string' },
  force: { type: 'boolean', short: 'f' },
  'key-file': { type: 'string' },
  verbose: { type: 'boolean', short: 'v' },
  accession: { type: 'string' },
  for: { type: 'string' },
  once: { type: 'boolean' },
  format: { type: 'string' },
  series: { type: 'string' },
  modality: { type: 'string' },
  direct: { type: 'boolean' },
  qr: { type: 'boolean' },
  base: { type: 'string' },
  json: { type: 'boolean' }
} as const

type Option = keyof typeof OPTIONS

const GENERAL: readonly Option[] = ['config', 'check-config', 'help', 'version']
const OF_COMMAND: Record<Command, readonly Option[]> = {
  serve: [],
  make: ['output', 'disc', 'password-file', 'force', 'key-file', 'verbose'],
  link: ['for', 'once', 'format', 'series', 'modality', 'direct', 'output', 'force', 'qr', 'base'],
  doctor: ['accession', 'json']
}
const WITH_OPERANDS: readonly Command[] = ['make', 'link']

export type Arguments = ReturnType<typeof parseArguments>

/** @throws UsageError */
export function parseArguments (args: readonly string[], env: Record<string, string | undefined> = process.env) {
  const { values, positionals } = parse(args)
  const [first = 'serve', ...operands] = positionals
  const command = COMMANDS.find(name => name === first)
  if (command === undefined) throw new UsageError(`there is no command ${first}`)
  for (const option of Object.keys(values) as Option[]) {
    if (!GENERAL.includes(option) && !OF_COMMAND[command].includes(option)) throw new UsageError(`${command} has no option --${option}`)
  }
  if (!WITH_OPERANDS.includes(command) && operands.length > 0) throw new UsageError(`${command} takes no ${operands.join(' ')}`)
  return { command, operands, values, config: values.config ?? env['MKISO_CONFIG'] ?? 'config/mkiso.yaml' }
}

function parse (args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.split('\n')[0] : String(error))
  }
}
