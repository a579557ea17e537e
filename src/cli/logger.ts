/** pino's options: JSON lines, or lines for people on a terminal. */
import { prettyFactory } from 'pino-pretty'
import { LogStream } from './log-stream.ts'
import type { buildApp } from '../app.ts'
import type { Config } from '../config/schema.ts'

export function loggerOf (log: Config['log'], destination: 1 | 2 = 1): Parameters<typeof buildApp>[1] {
  if (log.level === 'silent') return false
  const stream = LogStream.to(destination)
  return {
    level: log.level,
    // pid is a program's in our lines
    base: null,
    stream: log.pretty ? forPeople(stream, destination) : stream
  }
}

/** In this thread: a worker of pino's that cannot write (a full disk) kept the service from starting, and from ending at SIGTERM (seen). */
function forPeople (stream: LogStream, destination: 1 | 2): { write: (line: string) => void } {
  const { isTTY } = destination === 1 ? process.stdout : process.stderr
  const format = prettyFactory({ translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname', colorize: isTTY })
  return { write: line => { stream.write(format(line)) } }
}
