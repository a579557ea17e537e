/**
 * YAML as people write it: the values, the line that each key stands in, and what is wrong with the text. The schema is that of YAML 1.2:
 * `no` and `on` are texts, `010` is ten and a date is a text, whatever a `%YAML` directive says.
 */
import { constructFromEvents, EVENT_ID, getScalarValue, parseEvents, YAMLException, type Event } from 'js-yaml'

export interface YamlFault { line: number, text: string }

export interface YamlDocument {
  /** undefined for an empty text, and where there are faults. */
  content: unknown
  /** First line is 1; by path, `pacs.host` or `auth.keys.0.name`. What stands behind an alias has no line of its own. */
  lines: Map<string, number>
  faults: YamlFault[]
}

/** Aliases of aliases grow without end; a configuration has use for a few. */
const MAX_ALIASES = 100

/** Reads one document. Of faults of syntax only the first is told, as the rest cannot be read for certain; of keys that stand twice, all. */
export function readYaml (text: string): YamlDocument {
  const lines = new Map<string, number>()
  const failed = (...faults: YamlFault[]): YamlDocument => ({ content: undefined, lines, faults })
  const lineAt = lineCounter(text)
  let events: Event[]
  try {
    events = parseEvents(text, {})
  } catch (error) {
    return failed(faultOf(error, lineAt))
  }
  const { faults, documents } = walk(text, events, lineAt, lines)
  if (faults.length > 0) return failed(...faults)
  if (documents === 0) return { content: undefined, lines, faults }
  try {
    return { content: constructFromEvents(events, { source: text, maxAliases: MAX_ALIASES })[0], lines, faults }
  } catch (error) {
    return failed(faultOf(error, lineAt))
  }
}

function faultOf (error: unknown, lineAt: (offset: number) => number): YamlFault {
  if (!(error instanceof YAMLException)) return { line: 1, text: error instanceof Error ? error.message : String(error) }
  return { line: lineAt(error.mark?.position ?? 0), text: error.reason }
}

function lineCounter (text: string): (offset: number) => number {
  // the three line breaks of YAML 1.2, 5.4
  const starts = [0, ...[...text.matchAll(/\r\n|\r|\n/g)].map(({ 0: lineBreak, index }) => index + lineBreak.length)]
  return offset => {
    const next = starts.findIndex(start => start > offset)
    return next === -1 ? starts.length : next
  }
}

/** A collection whose end has not come yet; `key` is that of the value that comes next. */
type Open =
  | { kind: 'document' }
  | { kind: 'sequence', path: readonly string[], anchor: string | undefined, items: number }
  | { kind: 'mapping', path: readonly string[], anchor: string | undefined, keys: Set<string>, key: string | undefined }

type NodeEvent = Exclude<Event, { type: typeof EVENT_ID.DOCUMENT } | { type: typeof EVENT_ID.POP }>

/** Where each key stands, and what the constructor of values does not tell, or tells one at a time. */
function walk (
  text: string, events: readonly Event[], lineAt: (offset: number) => number, lines: Map<string, number>
): { faults: YamlFault[], documents: number } {
  const faults: YamlFault[] = []
  const open: Open[] = []
  let documents = 0
  /** Takes a node into the collection that it stands in. @returns its path */
  const place = (parent: Open, event: NodeEvent, line: number): readonly string[] => {
    if (parent.kind === 'document') return []
    if (parent.kind === 'sequence') {
      const path = [...parent.path, String(parent.items++)]
      lines.set(path.join('.'), line)
      return path
    }
    if (parent.key !== undefined) {
      const path = [...parent.path, parent.key]
      parent.key = undefined
      return path
    }
    parent.key = ''
    if (event.type !== EVENT_ID.SCALAR) {
      faults.push({ line, text: 'a key must be a text' })
      return parent.path
    }
    parent.key = getScalarValue(text, event)
    if (parent.keys.has(parent.key)) faults.push({ line, text: `the key ${parent.key} stands twice` })
    parent.keys.add(parent.key)
    lines.set([...parent.path, parent.key].join('.'), line)
    return parent.path
  }
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) {
      documents++
      open.push({ kind: 'document' })
      continue
    }
    if (event.type === EVENT_ID.POP) {
      open.pop()
      continue
    }
    const line = lineAt(Math.max(0, startOf(event)))
    if (documents > 1) {
      faults.push({ line, text: 'a second document begins here' })
      break
    }
    const parent = open.at(-1)
    if (parent === undefined) continue
    const path = place(parent, event, line)
    if (event.type === EVENT_ID.SCALAR) continue
    const anchor = event.anchorStart === -1 ? undefined : text.slice(event.anchorStart, event.anchorEnd)
    if (event.type === EVENT_ID.SEQUENCE) open.push({ kind: 'sequence', path, anchor, items: 0 })
    else if (event.type === EVENT_ID.MAPPING) open.push({ kind: 'mapping', path, anchor, keys: new Set(), key: undefined })
    // the value would hold itself
    else if (open.some(outer => outer.kind !== 'document' && outer.anchor === anchor)) {
      faults.push({ line, text: `*${anchor ?? ''} stands within &${anchor ?? ''}` })
    }
  }
  return { faults, documents }
}

/** Offset of a node; -1 for an empty value, which stands nowhere. */
function startOf (event: NodeEvent): number {
  if (event.type === EVENT_ID.ALIAS) return event.anchorStart
  return event.type === EVENT_ID.SCALAR ? event.valueStart : event.start
}
