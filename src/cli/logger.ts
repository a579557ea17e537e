/** pino's options: JSON lines, or lines for people on a terminal. */
import { LogStream } from './log-stream.ts'
import type { buildApp } from '../app.ts'
import type { Config } from '../config/schema.ts'

export function loggerOf (log: Config['log'], destination: 1 | 2 = 1): Parameters<typeof buildApp>[1] {
  if (log.level === 'silent') return false
  const pretty = { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname', destination } }
  return {
    level: log.level,
    // pid is a program's in our lines
    base: null,
    ...(log.pretty ? { transport: pretty } : { stream: LogStream.to(destination) })
  }
}
