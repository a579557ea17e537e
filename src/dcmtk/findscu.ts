/** findscu: C-FIND in the Study Root model (PS3.4 C.4.1), answers as plain values in UTF-8. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SaxesParser } from 'saxes'
import { MkisoError } from '../errors.ts'
import { isDiskFull } from '../disk.ts'
import type { SpawnOptions } from '../process.ts'
import { readObject } from '../dicom/part10.ts'
import { endpointArguments, throughTunnel } from './tunnel.ts'
import { lastLines, associationFaultOf, isUnanswered, networkArguments, type AssociationFault, type Peer, type ToolContext } from './peer.ts'

export type QueryLevel = 'STUDY' | 'SERIES' | 'IMAGE'

/** One answer: tag (`0020,000d`) to value; a value of several parts keeps its backslashes. */
export type Answer = ReadonlyMap<string, string>

export interface Query {
  level: QueryLevel
  callingAeTitle: string
  /** Tag to the value that must match; an empty value asks for the attribute. */
  keys: Readonly<Record<string, string>>
  /** Longest wait for the answers, in milliseconds. */
  timeoutMs: number
  /** The query is cancelled after so many answers; undefined for all of them. */
  atMost?: number | undefined
  /** A folder for the answers, which findscu can only give as a file. */
  tempDir: string
  signal?: AbortSignal | undefined
}

export type FindResult =
  | { kind: 'answers', answers: Answer[] }
  /** The PACS refused the query (a status other than Success): a level that it does not answer, for example. */
  | { kind: 'refused', reason: string }
  | { kind: 'no-association', fault: AssociationFault }
  | { kind: 'timeout' }

/**
 * Asks a peer.
 * @throws ToolMissingError
 * @throws the signal's reason
 */
export async function findscu (context: ToolContext, peer: Peer, query: Query): Promise<FindResult> {
  const folder = await mkdtemp(join(query.tempDir, 'find_'))
  try {
    const file = join(folder, 'answers.xml')
    const keys = Object.entries(query.keys).flatMap(([tag, value]) => ['-k', value === '' ? tag : `${tag}=${value}`])
    // -v -sr: the final status is printed, the answers (a patient's data) are not
    const args = ['-v', '-sr', '-S', '-aet', query.callingAeTitle, '-aec', peer.aeTitle, ...networkArguments(peer, query.timeoutMs),
      ...(query.atMost === undefined ? [] : ['--cancel', String(query.atMost)]), '-k', `0008,0052=${query.level}`, ...keys, '-Xs', file, ...await endpointArguments(context, peer)]
    const result = await context.programs.run(context.dcmtk.findscu, args, runOptions(peer, query, folder))
    context.log.debug({ query_level: query.level, pacs: peer.aeTitle, duration_ms: result.durationMs, exit_code: result.exitCode }, 'findscu ended')
    const status = /Received Final Find Response \((.+)\)/.exec(`${result.stdout}\n${result.stderr}`)?.[1]
    context.onOperation?.({ name: 'C-FIND', peer: peer.aeTitle, durationMs: result.durationMs, ok: status?.startsWith('Success') === true })
    if (result.stopCause === 'timeout') return { kind: 'timeout' }
    if (status === undefined) {
      if (isUnanswered(result)) return { kind: 'timeout' }
      const fault = associationFaultOf(result)
      if (fault !== undefined) return { kind: 'no-association', fault: throughTunnel(context, peer, fault) }
      return { kind: 'no-association', fault: { kind: 'broken', reason: lastLines(result) || `findscu ended with ${result.exitCode}` } }
    }
    // 0xFE00 is the answer to our cancel
    if (!status.startsWith('Success') && !(query.atMost !== undefined && status.startsWith('Cancel'))) return { kind: 'refused', reason: status }
    const answers = readAnswers(await readFile(file, 'utf8'), context)
    const pending = [...`${result.stdout}\n${result.stderr}`.matchAll(/Received Find Response \d+ \(Pending/g)].length
    if (pending === answers?.length) return { kind: 'answers', answers }
    // findscu loses an answer in ISO 2022 IR 87 (Japanese) with glibc's iconv, and still ends with Success (measured): a study would be missing
    return { kind: 'answers', answers: await answersAsFiles(context, peer, query, [...args.slice(0, args.indexOf('-Xs')), '-X', '-od', folder], folder, pending) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** @returns undefined where the XML is not well-formed: findscu writes a control character of a value as a reference that XML forbids (XML 1.0 2.2) */
function readAnswers (xml: string, { log }: ToolContext): Answer[] | undefined {
  try {
    return parseAnswers(xml)
  } catch (error) {
    log.warn({ err: error }, 'the answers to C-FIND are not well-formed XML; they are asked for as files')
    return undefined
  }
}

/** findscu refuses to start where it may not write its working directory, whatever -od and -Xs say: the root of a container, / of a systemd unit (measured). */
function runOptions (peer: Peer, query: Query, cwd: string): SpawnOptions {
  return { signal: query.signal, timeoutMs: query.timeoutMs + peer.connectTimeoutMs, cwd }
}

/** The same query once more with each answer as a DICOM file, which we decode ourselves. */
async function answersAsFiles (context: ToolContext, peer: Peer, query: Query, options: readonly string[], folder: string, expected: number): Promise<Answer[]> {
  await context.programs.run(context.dcmtk.findscu, [...options, ...await endpointArguments(context, peer)], runOptions(peer, query, folder))
  const names = (await readdir(folder)).filter(name => name.endsWith('.dcm')).sort()
  // images of other requests may have filled it, or of this one
  if (await isDiskFull(folder)) throw new MkisoError('INSUFFICIENT_DISK_SPACE', 'iso.temp_dir is full')
  if (names.length < expected) throw new MkisoError('PACS_REFUSED', `${expected} answers to C-FIND, of which ${names.length} could be read`)
  const tags = Object.keys(query.keys)
  const wanted = new Set(tags.map(tagNumber))
  return await Promise.all(names.map(async name => {
    const { attributes } = await readObject(join(folder, name), wanted)
    return new Map(tags.map(tag => [tag, trimmed(attributes.text(tagNumber(tag)) ?? '')]))
  }))
}

function tagNumber (tag: string): number {
  return Number.parseInt(tag.replace(',', ''), 16)
}

/** Values are padded to even length with a blank or a null character (PS3.5 6.2). */
function trimmed (text: string): string {
  return text.replace(/[ \0]+$/, '').replace(/^ +/, '')
}

/**
 * The answers in DCMTK's XML (`findscu -Xs`): `responses` of `data-set` of `element`. What stands deeper belongs to a sequence and is left
 * out: no key that we ask for is one, and a reference's Study Instance UID is not the study's.
 */
function parseAnswers (xml: string): Answer[] {
  const answers: Answer[] = []
  let answer = new Map<string, string>()
  let tag = ''
  let value = ''
  let depth = 0
  const parser = new SaxesParser()
  parser.on('opentag', ({ name, attributes }) => {
    depth++
    if (depth === 2) answers.push(answer = new Map())
    if (depth !== 3 || name !== 'element') return
    tag = attributes['tag'] ?? ''
    value = ''
  })
  parser.on('text', text => { if (depth === 3) value += text })
  parser.on('closetag', ({ name }) => {
    if (depth === 3 && name === 'element') answer.set(tag.toLowerCase(), trimmed(value))
    depth--
  })
  parser.on('error', error => { throw error })
  parser.write(xml).close()
  return answers
}
