/**
 * Installs what is missing: npm packages, and Debian packages for the given purpose (`demo` or `test`). Needs nothing but Node and npm.
 * Quiet when everything is there.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** Debian package, by a program that it brings. */
const PACKAGES = {
  demo: { findscu: 'dcmtk', genisoimage: 'genisoimage' },
  test: {
    findscu: 'dcmtk',
    genisoimage: 'genisoimage',
    xorriso: 'xorriso',
    Orthanc: 'orthanc',
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
    'firefox-esr': 'firefox-esr',
    WebKitWebDriver: 'webkit2gtk-driver',
    Xvfb: 'xvfb'
  }
}

// a user's PATH may lack the sbin folders, where Orthanc and nginx are
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

export async function bootstrap (purpose) {
  installNpmPackages()
  // with what has just been installed
  await (await import('./build-viewer.js')).buildViewer()
  const missing = Object.entries(PACKAGES[purpose]).filter(([program]) => !FOLDERS.some(folder => existsSync(join(folder, program)))).map(([, name]) => name)
  if (missing.length > 0) installDebianPackages([...new Set(missing)])
  process.env.PATH = FOLDERS.join(delimiter)
}

function installNpmPackages () {
  const installed = join(ROOT, 'node_modules/.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(ROOT, 'package-lock.json')).mtimeMs) return
  // npm ci empties the folder that a link leads to, which is another checkout's (seen)
  if (lstatSync(join(ROOT, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    console.error('node_modules is a link to a folder of somebody else, and it is older than package-lock.json: run npm ci where the link leads, or remove the link. Nothing was changed.')
    process.exit(1)
  }
  console.log('installing npm packages ...')
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status === 0) return
  console.error(`\n${sentenceOf(error)}\n`)
  process.exit(1)
}

/** npm's own words stand above it; this says what to do. */
function sentenceOf (error) {
  if (error?.code === 'ENOENT') return 'npm is missing: apt-get install npm, then run the same again.'
  return 'The npm packages could not be installed; npm says above why. Mostly the registry cannot be reached: is there a network, and is a proxy needed ' +
    '(npm config set proxy http://...)? Then run the same again: nothing else was changed.'
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

if (process.argv[1] === import.meta.filename) await bootstrap(process.argv[2] ?? 'demo')
