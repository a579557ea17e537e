/**
 * The files that a command names, `npm test -- FILE ...`. Whatever else begins with a hyphen is not known, `--help` included: the usage, and nothing is
 * installed and no test starts.
 */

/**
 * @param {string} usage of one line for each form, without the word "usage"
 * @param {string[]} options that are known
 * @returns {{ files: string[], options: Set<string> }} does not return where there is another option
 */
export function namedFiles (usage, options = []) {
  const args = process.argv.slice(2)
  const given = args.filter(one => one.startsWith('-'))
  const unknown = given.filter(one => !options.includes(one))
  if (unknown.length === 0) return { files: args.filter(one => !one.startsWith('-')), options: new Set(given) }
  const asked = unknown.every(one => one === '--help' || one === '-h')
  console.error(`${asked ? '' : `there is no ${unknown.join(' ')}\n`}usage: ${usage.replaceAll('\n', '\n       ')}`)
  process.exit(1)
}
