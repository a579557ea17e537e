/**
 * Says so where Node is older than package.json promises, instead of failing somewhere with a stack. To be imported before anything that a Node of
 * old may not know: no import.meta.dirname (20.11) here.
 */
import { readFileSync } from 'node:fs'

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

/** @returns true where `version` (as 20.19.2) is below `range` (as >=20.19) */
function isOlder (version, range) {
  const numbers = text => (text.match(/\d+/g) ?? []).map(Number)
  const [major = 0, minor = 0] = numbers(version)
  const [oldestMajor = 0, oldestMinor = 0] = numbers(range)
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor)
}

if (isOlder(process.versions.node, engines.node)) {
  console.error(`\nThis is Node ${process.versions.node}; needed is ${engines.node.replace('>=', '')} or later. Debian 13 and Ubuntu 25.04 ` +
    'have it (apt-get install nodejs npm), older systems get it from nodejs.org.\n')
  process.exit(1)
}
