/**
 * The one place that starts programs.
 *
 * Every program runs in a process group of its own, so that ending it also ends what it has forked, and with `setpriv --pdeathsig` where
 * util-linux has it, so that it ends with this process even when that is killed with -9. What a program forks does not inherit that: none that
 * the service starts forks. Arguments are arrays; no shell ever reads them. The first cause of an end is kept: a program that was stopped
 * because the client left is not reported later as "timed out".
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Readable } from 'node:stream'
import { execa } from 'execa'

/** What a caller may log about programs; pino's logger fits. */
export interface Log {
  debug (fields: object, message: string): void
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
  error (fields: object, message: string): void
}

export const silentLog: Log = { debug () {}, info () {}, warn () {}, error () {} }

/** Why a program ended, when it was not by itself. */
export type StopCause = 'aborted' | 'timeout' | 'stopped'

export interface SpawnOptions {
  /** Ends the program with cause `aborted`. */
  signal?: AbortSignal | undefined
  /** Ends the program with cause `timeout`, in milliseconds from its start. */
  timeoutMs?: number | undefined
  env?: Record<string, string> | undefined
  cwd?: string | undefined
  /** Called for each whole line of standard output and standard error. */
  onLine?: ((line: string) => void) | undefined
  /** Text for the program's standard input. */
  input?: string | undefined
  log?: Log | undefined
  /** What it may take; see {@link Limits}. */
  limits?: Limits | undefined
}

/**
 * What a program may take of this machine (setrlimit(2)). A file from outside may ask a decoder for more than there is; the program then ends by itself,
 * and no other. Only where util-linux has `prlimit`.
 */
export interface Limits {
  /** Address space, bytes. */
  memoryBytes?: number | undefined
  /** Each file that it writes, bytes. */
  fileBytes?: number | undefined
}

export interface RunResult {
  /** The program's exit code; -1 when a signal ended it. */
  exitCode: number
  stdout: string
  stderr: string
  durationMs: number
  /** Set when we ended it. */
  stopCause: StopCause | undefined
}

/** The configured program is not there or may not be run. */
export class ToolMissingError extends Error {
  readonly file: string
  /** @param setprivSays what setpriv printed, which also fails where a sandbox forbids it something: then the program is not to blame */
  constructor (file: string, cause: unknown, setprivSays = '') {
    const ofSetpriv = setprivSays !== '' && !setprivSays.includes('failed to execute')
    super(ofSetpriv ? `cannot run ${file}: ${setprivSays.trim()}` : `cannot run ${file}: is it installed, and is its path right in the configuration?`, { cause })
    this.name = 'ToolMissingError'
    this.file = file
  }
}

/** A running program with its owner's means to end it. */
export interface Child {
  readonly pid: number
  readonly stdout: Readable
  /** Resolves when the program has ended; never rejects, except with {@link ToolMissingError}. */
  readonly ended: Promise<RunResult>
  /** TERM to the whole group, KILL after `graceMs`; resolves when it is gone. */
  stop (cause?: StopCause, graceMs?: number): Promise<RunResult>
}

// Nagle's algorithm, on by default in DCMTK, costs about 45 ms an image (measured: 60 images 3.13 s against 0.11 s).
const DICOM_ENVIRONMENT = { TCP_NODELAY: '1' }
const GRACE_MS = 1_500
const TURNS_BETWEEN = 20
/** Bytes of a tool's output that are kept; the tail matters, since the reason stands there. */
const OUTPUT_TAIL = 64 * 1024

const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find(path => existsSync(path))
const prlimit = ['/usr/bin/prlimit', '/bin/prlimit'].find(path => existsSync(path))

/** The command that runs a program with its guards, each of which becomes the next. */
function guarded (file: string, args: readonly string[], { memoryBytes, fileBytes }: Limits): [string, ...string[]] {
  const limits = [
    ...memoryBytes === undefined ? [] : [`--as=${Math.ceil(memoryBytes)}`],
    // no core file of what a patient's image was decoded into
    ...fileBytes === undefined ? [] : [`--fsize=${Math.ceil(fileBytes)}`, '--core=0']
  ]
  const limited: [string, ...string[]] = prlimit === undefined || limits.length === 0 ? [file, ...args] : [prlimit, ...limits, file, ...args]
  return setpriv === undefined ? limited : [setpriv, '--pdeathsig', 'KILL', '--', ...limited]
}

/** Owns every program that it started: {@link Programs.stopAll} leaves none. */
export class Programs {
  readonly #live = new Set<Child>()
  #started = 0
  #turns: Promise<void> = Promise.resolve()

  /** Number of programs that were ever started. */
  get started (): number { return this.#started }

  /** Number of programs that run now. */
  get size (): number { return this.#live.size }

  /** The process ids of the programs that run now. */
  get pids (): number[] { return [...this.#live].map(child => child.pid) }

  /**
   * Starts a program. Its standard output is the caller's to read when `pipe` is set (an image of gigabytes), else it is collected.
   */
  start (file: string, args: readonly string[], options: SpawnOptions & { pipe?: boolean } = {}): Child {
    const startedAt = performance.now()
    const [command, ...commandArgs] = guarded(file, args, options.limits ?? {})
    let stopCause: StopCause | undefined
    const stdout = new Tail()
    const stderr = new Tail()
    const subprocess = execa(command, commandArgs, {
      buffer: false,
      reject: false,
      detached: true,
      cleanup: true,
      stdin: options.input === undefined ? 'ignore' : 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...withoutSecrets(process.env), ...DICOM_ENVIRONMENT, ...options.env },
      extendEnv: false,
      ...(options.input === undefined ? {} : { input: options.input }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd })
    })
    const pid = subprocess.pid
    // its end is told by its exit
    subprocess.stdin?.on('error', () => {})
    const readable = subprocess.stdout as Readable
    if (options.pipe !== true) collect(readable, stdout, options.onLine)
    collect(subprocess.stderr as unknown as Readable, stderr, options.onLine)

    const kill = (signal: NodeJS.Signals): void => {
      if (pid === undefined) return
      // the group first; a group that is gone leaves nothing to do
      try { process.kill(-pid, signal) } catch { /* already gone */ }
    }
    // a forked grandchild that outlives its parent would hold our directory, our port, and the pipes whose end execa waits for
    subprocess.once('exit', () => { kill('SIGKILL') })
    let ended = false
    const stop = async (cause: StopCause = 'stopped', graceMs = GRACE_MS): Promise<RunResult> => {
      if (!ended) {
        stopCause ??= cause
        kill('SIGTERM')
        const killTimer = setTimeout(() => kill('SIGKILL'), graceMs)
        killTimer.unref()
        void finished.finally(() => clearTimeout(killTimer))
      }
      return await finished
    }
    const onAbort = (): void => { void stop('aborted').catch(() => {}) }
    const timer = options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => { void stop('timeout').catch(() => {}) }, options.timeoutMs)
    timer?.unref()

    const child: Child = { pid: pid ?? -1, stdout: readable, get ended () { return finished }, stop }
    const finished = (async (): Promise<RunResult> => {
      const result = await subprocess
      ended = true
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
      this.#live.delete(child)
      const exitCode = result.exitCode
      const cause: { code?: string } | undefined = result.cause as { code?: string } | undefined
      const missing = pid === undefined ? cause?.code ?? 'ENOENT' : undefined
      // setpriv and prlimit answer 127 when the program does not exist and 126 when it may not be run, as a shell does
      if (missing !== undefined || ((exitCode === 127 || exitCode === 126) && /^(?:setpriv|prlimit):/.test(stderr.text))) {
        throw new ToolMissingError(file, result.cause, stderr.text)
      }
      return { exitCode: exitCode ?? -1, stdout: stdout.text, stderr: stderr.text, durationMs: Math.round(performance.now() - startedAt), stopCause }
    })()
    finished.catch(() => {})

    this.#started++
    if (pid !== undefined) this.#live.add(child)
    if (options.signal?.aborted === true) onAbort()
    else options.signal?.addEventListener('abort', onAbort, { once: true })
    return child
  }

  /**
   * Runs a program to its end and collects the last 64 KiB of what it prints.
   * @throws ToolMissingError when it cannot be started
   * @throws the signal's reason when the signal ended it
   */
  async run (file: string, args: readonly string[], options: SpawnOptions = {}): Promise<RunResult> {
    options.signal?.throwIfAborted()
    await this.#turn()
    options.signal?.throwIfAborted()
    const result = await this.start(file, args, options).ended
    if (result.stopCause === 'aborted') options.signal?.throwIfAborted()
    return result
  }

  /**
   * Starting a program takes our process some milliseconds, in which it does nothing else, and Node takes one new connection from each turn of its event
   * loop (libuv 1.45): of 200 requests that came at once each began its programs, and the liveness probe behind them was answered after 8 to 29 s. So
   * between two programs the loop turns a few times.
   */
  async #turn (): Promise<void> {
    const turn = this.#turns.then(async () => { for (let n = 0; n < TURNS_BETWEEN; n++) await new Promise(resolve => { setImmediate(resolve) }) })
    this.#turns = turn
    await turn
  }

  /** Ends whatever still runs. */
  async stopAll (): Promise<void> {
    await Promise.allSettled([...this.#live].map(async child => await child.stop()))
  }
}

/** Keys and tokens may come to us by MKISO_*; no program that we start needs them. */
function withoutSecrets (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('MKISO_')))
}

function collect (stream: Readable, kept: Tail, onLine?: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    kept.add(text)
    if (onLine === undefined) return
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    // a line that never ends
    if (rest.length > OUTPUT_TAIL) rest = rest.slice(-OUTPUT_TAIL)
    for (const line of lines) onLine(line)
  })
  stream.on('end', () => { if (rest !== '') onLine?.(rest) })
  stream.on('error', () => { /* the exit code tells */ })
}

/** The end of an output; cut now and then, since cutting at each piece took a tenth of a download's processor time (measured). */
class Tail {
  #text = ''

  add (text: string): void {
    this.#text += text
    if (this.#text.length > 8 * OUTPUT_TAIL) this.#text = this.text
  }

  get text (): string { return this.#text.length > OUTPUT_TAIL ? this.#text.slice(-OUTPUT_TAIL) : this.#text }
}

function openFilesOf (pid: number): string[] {
  let descriptors: string[]
  try { descriptors = readdirSync(`/proc/${pid}/fd`) } catch { return [] }
  return descriptors.flatMap(descriptor => {
    try { return [readlinkSync(`/proc/${pid}/fd/${descriptor}`)] } catch { return [] /* closed meanwhile */ }
  })
}

/** The leader and what it has forked: every process of its group, by the fifth field of proc(5) `stat`. */
export function processesOfGroup (groupPid: number): number[] {
  // the children of a process are one short read; looking through all of /proc took a fifth of a core while images arrive (measured)
  const family = livesOn(groupPid) ? descendantsOf(groupPid) : undefined
  return (family ?? readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number)).filter(pid => {
    try {
      // the second field is the name in brackets and may hold blanks
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      // a zombie has ended, only nobody has asked for its exit code yet
      return Number(group) === groupPid && state !== 'Z'
    } catch { return false /* ended meanwhile */ }
  })
}

/** False also for a zombie, whose children have gone to init: its group may well go on. */
function livesOn (pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z'
  } catch { return false }
}

/** A process and all below it; undefined where the kernel does not tell (CONFIG_PROC_CHILDREN), or when the process has ended and its children have gone to init. */
function descendantsOf (pid: number): number[] | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(text => text !== '').map(Number)
    return [pid, ...children.flatMap(child => descendantsOf(child) ?? [child])]
  } catch { return undefined }
}

/** True when the program itself listens on the port: a connection would also be taken by a stranger. */
export function listensOn (groupPid: number, port: number): boolean {
  const open = new Set(processesOfGroup(groupPid).flatMap(openFilesOf))
  return listeningSockets(port).some(socket => open.has(socket))
}

/** The sockets that listen on a port, named as `/proc/PID/fd` names them: `socket:[1234]`. */
export function listeningSockets (port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  return ['/proc/self/net/tcp', '/proc/self/net/tcp6'].flatMap(table => {
    let text: string
    try { text = readFileSync(table, 'utf8') } catch { return [] }
    return text.split('\n').flatMap(line => {
      const fields = line.trim().split(/\s+/)
      // proc(5): local address, state 0A is LISTEN, inode in the tenth column
      return fields[1]?.endsWith(`:${hexPort}`) === true && fields[3] === '0A' ? [`socket:[${fields[9] ?? ''}]`] : []
    })
  })
}

/** Waits until `condition` holds, looking every `everyMs`; false when `timeoutMs` passed before. */
export async function until (condition: () => boolean | Promise<boolean>, timeoutMs: number, everyMs = 10, signal?: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (await condition()) return true
    if (performance.now() >= deadline) return false
    await delay(everyMs, undefined, signal === undefined ? {} : { signal })
  }
}
