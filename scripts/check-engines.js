/**
 * Every package that goes into an installation runs on the oldest Node that package.json promises. npm only warns of one that does not, and
 * such a package arrives by itself, as a dependency of a dependency; `overrides` in package.json then holds the newest one that fits.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import semver from 'semver'

const ROOT = join(import.meta.dirname, '..')
const read = name => JSON.parse(readFileSync(join(ROOT, name), 'utf8'))

/** @returns one line for each package that is too new */
export function packagesTooNew ({ engines }, { packages }) {
  const oldest = semver.minVersion(engines.node)
  return Object.entries(packages)
    .filter(([path, { dev, engines: { node = '*' } = {} }]) => path !== '' && dev !== true && !semver.satisfies(oldest, node))
    .map(([path, { version, engines: { node } }]) => `${path} ${version} needs Node ${node}; package.json promises ${oldest}`)
}

if (process.argv[1] === import.meta.filename) {
  const faults = packagesTooNew(read('package.json'), read('package-lock.json'))
  for (const fault of faults) console.error(fault)
  process.exitCode = faults.length > 0 ? 1 : 0
}
