/** Where the time of one download goes, by the service's own log. */
import { table } from './figures.ts'
import type { LogLine } from './service.ts'
import type { Measured } from './contenders.ts'

export function timeline (log: readonly LogLine[], measured: Measured | undefined): string[] {
  if (measured === undefined) return []
  const at = (matches: (line: LogLine) => boolean, which: 'first' | 'last' = 'last'): number | undefined => {
    const found = log.filter(matches)
    return (which === 'first' ? found[0] : found.at(-1))?.time
  }
  // the request's own line comes when it is over
  const end = at(({ msg, route }) => msg === 'request ended' && route === '/api/iso/download') ?? NaN
  const start = end - measured.seconds * 1_000
  const points: Array<[string, number | undefined]> = [
    ['the study is found (C-FIND STUDY)', at(({ msg, query_level: level }) => msg === 'findscu ended' && level === 'STUDY')],
    ['its series are found (C-FIND SERIES)', at(({ msg, query_level: level }) => msg === 'findscu ended' && level === 'SERIES')],
    ['the moves begin', at(({ msg }) => msg === 'running movescu', 'first')],
    ['the instances are listed (C-FIND IMAGE)', at(({ msg, query_level: level }) => msg === 'findscu ended' && level === 'IMAGE')],
    ['the PACS has answered the last C-MOVE', at(({ msg }) => msg === 'movescu ended')],
    ['every image is taken in and checked', at(({ msg }) => msg === 'study complete')],
    ['the disc is made', at(({ msg }) => msg === 'iso created')],
    ['the last byte is sent', end]
  ]
  return [
    'One download with thumbnails, watched (watching slows it down):', '',
    ...table(['after, ms', ''], points.map(([what, time]) => [time === undefined ? '–' : (time - start).toFixed(0), what]))
  ]
}
