/** A CD publisher for demo and tests: a storescp that remembers. */
import { readdir } from 'node:fs/promises'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Programs } from '../src/process.ts'
import { listening } from './pacs.ts'
import { freePort } from './ports.ts'

export interface Publisher {
  readonly aeTitle: string
  readonly host: string
  readonly port: number
  readonly pid: number
  /** SOP Instance UIDs that it has. */
  received (): Promise<string[]>
  /** Associations so far; a robot starts a disc for each. */
  associations (): number
  stop (): Promise<void>
}

export interface PublisherOptions {
  programs: Programs
  /** Folder for what it receives. */
  dir: string
  aeTitle?: string
  port?: number
  /** Further arguments of storescp, for one that takes no compressed images, say. */
  args?: readonly string[]
}

export async function startPublisher ({ programs, dir, aeTitle = 'CDPUBLISHER', port, args = ['+xa'] }: PublisherOptions): Promise<Publisher> {
  const listenPort = port ?? await freePort()
  const images = join(dir, 'images')
  mkdirSync(images, { recursive: true })
  let associations = 0
  const child = programs.start('storescp', ['-v', '--fork', '-dhl', '+B', ...args, '-pdu', '131072', '-aet', aeTitle, '-od', images, String(listenPort)], {
    cwd: dir,
    onLine: line => { if (/Received Store Request \(MsgID 1,/.test(line)) associations++ }
  })
  await listening(child, listenPort, 'storescp')
  return {
    aeTitle,
    host: '127.0.0.1',
    port: listenPort,
    pid: child.pid,
    received: async () => (await readdir(images)).map(name => name.replace(/^[A-Za-z]\w*\./, '')),
    associations: () => associations,
    stop: async () => { await child.stop() }
  }
}
