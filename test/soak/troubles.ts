/** What befalls a service in a hospital, one trouble after another, for as long as the soak goes on. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { processesOfGroup, type Programs } from '../../src/process.ts'
import type { NetworkFault, Proxy } from '../faults/proxy.ts'

export interface Surroundings {
  programs: Programs
  pacsPid: number
  toPacs: Proxy
  toReceiver: Proxy
  toWeb: Proxy
  /** The receiver's own port. */
  receiverPort: number
  servicePid: () => number
  /** Images that nobody asks for. */
  foreign: readonly PhantomInstance[]
  random: () => number
}

type Trouble = (around: Surroundings) => Promise<unknown>

const NETWORK: readonly NetworkFault[] = [
  { kind: 'refuse' }, { kind: 'refuse', times: 1 }, { kind: 'cut', afterBytes: 0, times: 2 }, { kind: 'cut', afterBytes: 150 }, { kind: 'cut', afterBytes: 1_500, times: 2 },
  { kind: 'cut', afterBytes: 100_000 }, { kind: 'cut', afterBytes: 2_000_000, times: 1 }, { kind: 'stall', afterBytes: 0, times: 1 }, { kind: 'stall', afterBytes: 50_000, times: 1 },
  { kind: 'slow', delayMs: 5 }, { kind: 'slow', delayMs: 40 }
]

export const TROUBLES: Record<string, Trouble> = {
  'network to the PACS': async around => { await network(around, around.toPacs) },
  'network to the receiver': async around => { await network(around, around.toReceiver) },
  'network to the DICOMweb server': async around => { await network(around, around.toWeb) },
  'movescu killed': async around => kill(around, command => command.startsWith('movescu'), 1),
  'findscu killed': async around => kill(around, command => command.startsWith('findscu'), 1),
  'genisoimage killed': async around => kill(around, command => command.startsWith('genisoimage'), 1),
  'a renderer killed': async around => kill(around, command => command.startsWith('dcmj2pnm'), 1),
  'dcmsend killed': async around => kill(around, command => command.startsWith('dcmsend'), 1),
  'the PACS stops for a while': async ({ pacsPid, random }) => {
    process.kill(pacsPid, 'SIGSTOP')
    try { await delay(500 + random() * 3_000) } finally { process.kill(pacsPid, 'SIGCONT') }
  },
  'images of a stranger': async ({ programs, receiverPort, foreign }) => {
    await programs.run('dcmsend', ['-aet', 'STRANGER', '-aec', 'CDRECORD', '127.0.0.1', String(receiverPort), ...foreign.map(({ path }) => path)], { timeoutMs: 10_000 })
  }
}

async function network ({ random }: Surroundings, proxy: Proxy): Promise<void> {
  proxy.fault = NETWORK[Math.floor(random() * NETWORK.length)]
  await delay(500 + random() * 3_000)
  proxy.fault = undefined
}

/** @returns how many were there to be killed */
function kill ({ servicePid, random }: Surroundings, which: (command: string) => boolean, most: number): number {
  const found = descendants(servicePid()).filter(pid => which(nameOf(pid))).sort(() => random() - 0.5).slice(0, most)
  for (const pid of found) {
    try { process.kill(pid, 'SIGKILL') } catch { /* ended meanwhile */ }
  }
  return found.length
}

/** Processes below one, itself not among them. */
export function descendants (pid: number): number[] {
  let children: number[]
  try { children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(text => text !== '').map(Number) } catch { return [] }
  // a program's group also holds what has lost its parent
  return [...new Set(children.flatMap(child => [child, ...processesOfGroup(child), ...descendants(child)]))]
}

export function nameOf (pid: number): string {
  try { return (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '').split('/').at(-1) ?? '' } catch { return '' }
}
