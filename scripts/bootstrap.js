/**
 * Installs what is missing: npm packages, and Debian packages for the given purpose (`demo` or `test`). Needs nothing but Node and npm.
 * Quiet when everything is there.
 */
import './node-version.js'
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Debian package, by a program that it brings, or the path of another file. */
const PACKAGES = {
  demo: { findscu: 'dcmtk', genisoimage: 'genisoimage' },
  test: {
    findscu: 'dcmtk',
    genisoimage: 'genisoimage',
    xorriso: 'xorriso',
    Orthanc: 'orthanc',
    '/usr/share/orthanc/plugins/libOrthancDicomWeb.so': 'orthanc-dicomweb',
    nginx: 'nginx',
    dciodvfy: 'dicom3tools',
    gdcmconv: 'libgdcm-tools',
    chromium: 'chromium',
    setpriv: 'util-linux',
    curl: 'curl',
    promtool: 'prometheus',
    php: 'php-cli',
    python3: 'python3-minimal',
    openssl: 'openssl',
    xmllint: 'libxml2-utils',
    stunnel4: 'stunnel4',
    '7z': 'p7zip-full',
    unzip: 'unzip',
    bsdtar: 'libarchive-tools',
    strings: 'binutils',
    ps: 'procps',
    'firefox-esr': 'firefox-esr',
    WebKitWebDriver: 'webkit2gtk-driver',
    Xvfb: 'xvfb'
  }
}

// a user's PATH may lack the sbin folders, where Orthanc and nginx are
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

export async function bootstrap (purpose) {
  // these first: whoever may not install them is told at once, and not after a minute of npm's download
  const missing = Object.entries(PACKAGES[purpose]).filter(([file]) => !FOLDERS.some(folder => existsSync(resolve(folder, file)))).map(([, name]) => name)
  if (missing.length > 0) installDebianPackages([...new Set(missing)])
  installNpmPackages()
  // with what has just been installed
  await (await import('./build-viewer.js')).buildViewer()
  process.env.PATH = FOLDERS.join(delimiter)
}

function installNpmPackages () {
  const lockFile = join(ROOT, 'package-lock.json')
  if (isInstalled(lockFile)) return
  // npm ci empties the folder that a link leads to, which is another checkout's (seen)
  if (lstatSync(join(ROOT, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    console.error('node_modules is a link to a folder of somebody else, and it does not hold what package-lock.json names: run npm ci where the link leads, or remove the link. Nothing was changed.')
    process.exit(1)
  }
  console.log('installing npm packages, about a minute ...')
  const refusal = refusalOfRegistry(lockFile)
  // "npm ci" empties the folder before it fetches: what is there is worth more than nothing
  if (refusal !== undefined && existsSync(join(ROOT, 'node_modules'))) {
    console.error(`\n${sentenceOf(undefined, refusal)}\n`)
    process.exit(1)
  }
  // without a registry, what npm has kept from another time may do, and npm says at once when it does not
  const ci = ['ci', '--no-audit', '--no-fund']
  const { status, error } = refusal === undefined ? npm(ci, 'inherit') : npm([...ci, '--offline'], 'ignore')
  if (status === 0) return
  console.error(`\n${sentenceOf(error, refusal)}\n`)
  process.exit(1)
}

/**
 * By content: a checkout, a merge or a second worktree makes the lock file newer than what was installed from the same one. Packages for other
 * systems are optional, and are not installed.
 */
function isInstalled (lockFile) {
  const hidden = join(ROOT, 'node_modules/.package-lock.json')
  if (!existsSync(hidden)) return false
  const { packages: { '': _, ...wanted } } = JSON.parse(readFileSync(lockFile, 'utf8'))
  const { packages: installed } = JSON.parse(readFileSync(hidden, 'utf8'))
  return Object.entries(wanted).every(([path, { version, optional }]) => installed[path]?.version === version || (optional === true && !(path in installed))) &&
    Object.keys(installed).every(path => path in wanted)
}

// the level of the log in each call: "npm run --silent", which may have started us, hands its own down, and npm would fail without a word (seen)
const npm = (args, stderr) => spawnSync('npm', [...args, '--loglevel=error'], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', stderr === 'pipe' ? 'pipe' : 'inherit', stderr] })

/**
 * One question, asked once: npm itself asks again and again for each of its packages, in silence (measured with npm 9.2: over a minute where the
 * connection is refused, more than seven where the name is unknown).
 * @returns what npm says, undefined where the registry answers
 */
function refusalOfRegistry (lockFile) {
  const { packages } = JSON.parse(readFileSync(lockFile, 'utf8'))
  const one = `fastify@${packages['node_modules/fastify'].version}`
  const { status, stderr, error } = npm(['view', one, 'version', '--fetch-retries=0', '--fetch-timeout=30000', '--prefer-online'], 'pipe')
  if (status === 0 || error !== undefined) return undefined
  // npm 9 writes "npm ERR!", later ones "npm error"
  const lines = stderr.split('\n').map(line => line.replace(/^npm (ERR!|error) ?/, ''))
  const told = lines.find(line => /request to|failed|E\d{3}|certificate/i.test(line)) ?? lines.find(line => line.trim() !== '')
  return (told ?? 'no answer').trim()
}

/** Says what to do; without a refusal npm's own words stand above it. */
function sentenceOf (error, refusal) {
  if (error?.code === 'ENOENT') return 'npm is missing: apt-get install npm, then run the same again.'
  const again = 'Then run the same again: nothing else was changed.'
  if (refusal === undefined) return `The npm packages could not be installed; npm says above why. ${again}`
  return `The npm packages could not be installed: npm's registry does not answer (${refusal}). Is there a network, and is a proxy needed ` +
    `(npm config set proxy http://...; npm config set cafile FILE where it has a certificate of its own)? ${again}`
}

function installDebianPackages (packages) {
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (process.getuid?.() !== 0) {
    console.error(`Debian packages are missing. Run this once, then again what you just did:\n\n  sudo sh -c '${command}'\n`)
    process.exit(1)
  }
  console.log(`installing ${packages.join(', ')} ...`)
  // the packages' own daemons (Orthanc, nginx) would take ports that nobody asked for
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const { status } = spawnSync('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    if (status !== 0) {
      console.error(`apt-get failed; the command was: ${command}`)
      process.exit(1)
    }
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bootstrap(process.argv[2] ?? 'demo')
