/** `npm start` builds what has changed since the last build, and nothing else; a folder that came built, without the compiler, is started as it is. */
import './node-version.js'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Written last: its time is that of a build that went through. */
const BUILT = join(ROOT, 'dist/.built')
const SOURCES = ['src', 'plugins', 'routes', 'viewer', 'scripts/build-viewer.js', 'scripts/copy-assets.js', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']
/** Made by the build itself. */
const MADE = join(ROOT, 'src/disc/viewer/assets')

/** Milliseconds; of a folder the newest below it, its own included: a file that went away changes that. */
function newest (path) {
  if (path === MADE || !existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map(name => newest(join(path, name))))
}

export function isBuilt () {
  if (!existsSync(BUILT) || !existsSync(join(ROOT, 'dist/src/main.js'))) return false
  const builtMs = statSync(BUILT).mtimeMs
  return SOURCES.every(source => newest(join(ROOT, source)) <= builtMs)
}

if (process.argv[1] === fileURLToPath(import.meta.url) && !isBuilt()) {
  // on stderr: `npm start -- make` and `doctor --json` have something to say on stdout
  console.error('building ...')
  rmSync(BUILT, { force: true })
  const startedMs = Date.now()
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 2, 2] })
  if (status !== 0) {
    console.error('The build failed; what is wrong stands above. "npm ci" brings what it needs.')
    process.exit(1)
  }
  writeFileSync(BUILT, `${new Date(startedMs).toISOString()}\n`)
}
