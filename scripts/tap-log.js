/**
 * Reads what tap writes (TAP 14, subtests indented by four) line by line: counts assertions, and keeps of each that failed what a person needs who sees
 * nothing but the end of the log: its file, the names of its subtests, message, difference, place, and the seed of what was generated.
 */

/** So much is kept of one failure. */
export const MOST_LINES = 30
const LONGEST_LINE = 2_000
/** tap's own words, or said in other lines already. */
const NEEDLESS = new Set(['at', 'source', 'tapCaught', 'compare', 'test', 'stdio', 'cwd', 'externalID', 'command', 'args', 'jobId', 'childId', 'parent'])
const SEED = /seed/i

/**
 * @typedef {{ file: string, path: string[], line: string, detail: string[], seeds: string[] }} Failure
 */

export class TapLog {
  passed = 0
  failed = 0
  skipped = 0
  faults = 0
  /** @type {Array<{ file: string, seconds: number, line: string, ok: boolean }>} */
  files = []
  /** @type {Failure[]} */
  failures = []
  /** Names of the subtests that are open, the file first. */
  #open = []
  /** Those of the file that is read. */
  #current = []
  #seeds = new Set()
  /** @type {{ failure: Failure, indent: number, skipping: boolean, isOver: boolean } | undefined} */
  #detail

  /** @returns {{ file: string, line: string, failures: Failure[] } | undefined} the file that has ended with this line */
  add (line) {
    if (this.#isDetail(line)) return undefined
    this.faults += Number(/# faults provoked: (\d+)/.exec(line)?.[1] ?? 0)
    const [, indentation, comment] = /^( *)# (.*)$/.exec(line) ?? []
    if (comment !== undefined) {
      this.#comment(indentation.length / 4, comment)
      return undefined
    }
    const found = /^( *)(not )?ok (\d+)(?: - (.*))?$/.exec(line)
    if (found === null) return undefined
    const [, { length: indent }, not, , text = ''] = found
    const [, name, time] = /^(.*?)(?: # time=([\d.]+)ms.*)?$/.exec(text) ?? []
    const level = indent / 4
    if (level === 0) return this.#file(line, name, Number(time ?? 0) / 1_000, not === undefined)
    if (/ # (SKIP|TODO)/i.test(text)) this.skipped += 1
    // subtests are counted by their assertions
    else if (time === undefined) this[not === undefined ? 'passed' : 'failed'] += 1
    if (not !== undefined && !/ # (SKIP|TODO)/i.test(text)) this.#fail(line, indent, level, name, time !== undefined)
    return undefined
  }

  #comment (level, comment) {
    if (comment.startsWith('Subtest: ')) this.#open[level] = comment.slice('Subtest: '.length)
    else if (SEED.test(comment)) this.#seeds.add(comment)
  }

  #fail (line, indent, level, name, isSubtest) {
    const path = this.#open.slice(1, level)
    // a subtest fails by what failed in it
    if (isSubtest && this.#current.some(({ path: below }) => below.length > path.length && [...path, name].every((one, n) => one === below[n]))) return
    const failure = { file: this.#open[0] ?? '', path, line: line.trim(), detail: [], seeds: [] }
    this.#current.push(failure)
    this.#detail = { failure, indent: indent + 2, skipping: false, isOver: false }
  }

  #file (line, name, seconds, ok) {
    const file = name
    if (!ok && this.#current.length === 0) {
      // it crashed, or ran out of time: no assertion of its own has failed
      this.failed += 1
      const failure = { file, path: [], line, detail: [], seeds: [] }
      this.#current.push(failure)
      this.#detail = { failure, indent: 2, skipping: false, isOver: false }
    }
    const failures = this.#current
    for (const failure of failures) failure.seeds = [...this.#seeds].filter(seed => !failure.line.includes(seed))
    this.failures.push(...failures)
    this.files.push({ file, seconds, line, ok })
    this.#open = []
    this.#current = []
    this.#seeds = new Set()
    return { file, line, failures }
  }

  /** The YAML below a line that is not ok. @returns {boolean} whether the line is of it */
  #isDetail (line) {
    const detail = this.#detail
    if (detail === undefined) return false
    const own = line.startsWith(' '.repeat(detail.indent)) ? line.slice(detail.indent) : undefined
    // blank lines stand in the middle of a text
    if (own === undefined && line.trim() !== '') {
      this.#detail = undefined
      return false
    }
    if (own === '---') return true
    if (own === '...') {
      this.#detail = undefined
      return true
    }
    this.#keep(detail, own ?? '')
    return true
  }

  #keep (detail, line) {
    const key = /^(\w+):/.exec(line)?.[1]
    if (key !== undefined) detail.skipping = NEEDLESS.has(key)
    if (detail.skipping || line.trim() === '') return
    const { detail: lines } = detail.failure
    if (lines.length < MOST_LINES) lines.push(shortened(line))
    else if (!detail.isOver) {
      lines.push('[...]')
      detail.isOver = true
    }
  }
}

function shortened (line) {
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)} [...]` : line
}

/** @param {Failure} failure */
export function describe ({ file, path, line, detail, seeds }) {
  return [[file, ...path].join(' > '), ...[line, ...detail, ...seeds.map(seed => `# ${seed}`)].map(one => `  ${shortened(one)}`)].join('\n')
}
