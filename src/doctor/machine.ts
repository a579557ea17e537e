/** This machine: configuration, programs, ports, disk. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { ConfigSchema, dcmtkInUse, type Config } from '../config/schema.ts'
import { findProgram } from '../config/load.ts'
import { diskOf } from '../disk.ts'
import { listeningSockets, type Programs } from '../process.ts'
import { ok, type Finding } from './finding.ts'

const LOOPBACK = /^(127\.|::1$|localhost$)/
const READABLE_BY_OTHERS = 0o004
const GIB = 1_024 ** 3

/** What is allowed, but seldom meant. */
export async function checkConfiguration (config: Config, file: string): Promise<Finding[]> {
  const findings: Finding[] = []
  const warn = (detail: string, ...advice: string[]): void => { findings.push({ name: 'configuration', status: 'warning', detail, advice }) }
  const secret = config.auth.keys.length > 0 || config.auth.signedLinks !== undefined || config.patient_api.token !== '' ||
    config.archives.some(({ dicomweb }) => dicomweb !== undefined && (dicomweb.token !== '' || dicomweb.password !== ''))
  const mode = file === '' ? 0 : await stat(file).then(({ mode }) => mode, () => 0)
  if (secret && (mode & READABLE_BY_OTHERS) !== 0) warn(`every user of this machine may read ${file}, and a key may stand in it`, `chmod o= ${file}`)
  if (!config.auth.enabled && !LOOPBACK.test(config.server.host)) {
    warn(`whoever reaches port ${config.server.port} may download without a key`, 'set auth.enabled: true and a key, or server.host: 127.0.0.1 behind nginx')
  }
  for (const { section, dicomweb } of config.archives) {
    if (dicomweb === undefined) continue
    const { protocol, hostname } = new URL(dicomweb.url)
    const path = `${section}.dicomweb`
    if (protocol === 'http:' && !LOOPBACK.test(hostname)) warn(`${path}.url is not https: images, names and what proves who we are go unencrypted`, `set ${path}.url to an https address`)
    if (!dicomweb.verify) warn(`${path}.verify is false: whoever stands on the way can pretend to be the PACS`, `give its certificates in ${path}.ca`)
  }
  if (config.disc.allow_mixed_patients) warn('disc.allow_mixed_patients is true: a disc may hold images of two patients', 'set it to false')
  if (config.disc.allow_reassigned) warn('disc.allow_reassigned is true: a disc may hold images that name another patient than the PACS does', 'set it to false')
  if (config.disc.allow_incomplete) warn('disc.allow_incomplete is true: a disc may lack images', 'set it to false')
  if (config.disc.institution === '') warn('disc.institution is empty: the first page of a disc names no hospital', 'set disc.institution and disc.contact')
  return [ok('configuration', file === '' ? 'as it was loaded' : file), ...findings]
}

/** @returns one line for DCMTK and one for each other program */
export async function checkPrograms (config: Config, programs: Programs): Promise<Finding[]> {
  const speaks = (...kinds: string[]): boolean => config.archives.some(({ retrieve }) => kinds.includes(retrieve))
  // with DICOMweb alone they make pictures and prints; a disc comes without them
  const vital = new Set([...speaks('move', 'get') ? ['findscu', 'echoscu', config.relay.sender] : [], ...speaks('move') ? ['movescu'] : []])
  const describe = (section: 'dcmtk' | 'tools', tool: string): string => {
    const keys: Record<string, { description?: string }> = ConfigSchema.properties[section].properties
    return keys[tool]?.description ?? ''
  }
  const versions = new Map<string, string[]>()
  const findings: Finding[] = []
  await Promise.all(Object.entries(dcmtkInUse(config)).map(async ([tool, path]) => {
    const version = await versionOf(programs, path, /\$dcmtk: \S+ v(\S+)/)
    if (version !== undefined) { versions.set(version, [...versions.get(version) ?? [], tool]); return }
    findings.push({ name: 'DCMTK', status: vital.has(tool) ? 'down' : 'warning', detail: `${path} cannot be run: ${describe('dcmtk', tool)}`, advice: [`apt-get install dcmtk, or set dcmtk.${tool}`] })
  }))
  const [only, second] = versions.keys()
  if (second !== undefined) {
    findings.unshift({ name: 'DCMTK', status: 'warning', detail: [...versions].map(([version, tools]) => `${version}: ${tools.join(', ')}`).join('; '), advice: ['two installations are mixed: give every dcmtk.* the same folder'] })
  } else if (only !== undefined) findings.unshift(ok('DCMTK', `${only}, ${versions.get(only)?.length ?? 0} programs`))
  for (const [tool, pattern] of [['genisoimage', /genisoimage (\S+)/], ['xorrisofs', /xorriso (\S+)/], ['gdcmconv', /gdcm (\S+)/]] as const) {
    const path = config.tools[tool]
    const version = await versionOf(programs, path, pattern)
    findings.push(version !== undefined
      ? ok(tool, version)
      : { name: tool, status: tool === 'genisoimage' ? 'down' : 'warning', detail: `${path} cannot be run: ${describe('tools', tool)}`, advice: [`apt-get install ${tool === 'gdcmconv' ? 'libgdcm-tools' : tool.replace('xorrisofs', 'xorriso')}, or set tools.${tool}`] })
  }
  if (config.archives.some(({ tls }) => tls !== undefined) || config.cd_publisher.tls !== undefined) {
    const version = await versionOf(programs, config.tools.stunnel, /stunnel (\S+)/, ['-version'])
    findings.push(version !== undefined
      ? ok('stunnel', version)
      : { name: 'stunnel', status: 'down', detail: `${config.tools.stunnel} cannot be run: ${describe('tools', 'stunnel')}`, advice: ['apt-get install stunnel4, or set tools.stunnel'] })
  }
  if (findProgram('setpriv') === undefined) findings.push({ name: 'setpriv', status: 'warning', detail: 'not found: programs outlive the service when it is killed with -9', advice: ['apt-get install util-linux'] })
  return findings
}

async function versionOf (programs: Programs, path: string, pattern: RegExp, args: readonly string[] = ['--version']): Promise<string | undefined> {
  const result = await programs.run(path, args, { timeoutMs: 5_000 }).catch(() => undefined)
  return result === undefined ? undefined : pattern.exec(`${result.stdout}\n${result.stderr}`)?.[1]
}

/** @param running the service itself answers on its port, and holds the receiver's */
export async function checkPorts (config: Config, running: boolean): Promise<Finding[]> {
  const { host, port } = config.server
  const findings = [running ? ok('HTTP port', `${port}: the service runs`) : await checkPort('HTTP port', port, 'server.port', host)]
  if (config.archives.every(({ retrieve }) => retrieve !== 'move')) return [...findings, ok('receiver port', `none is needed for ${config.archives.every(({ retrieve }) => retrieve === 'wado') ? 'DICOMweb' : 'C-GET'}`)]
  const { base_port: first, port_range: range, receiver } = config.our_ae
  if (receiver === 'shared') return [...findings, running ? ok('receiver port', `${first}: the service has it`) : await checkPort('receiver port', first, 'our_ae.base_port')]
  const all = await Promise.all(Array.from({ length: range }, async (_, n) => await checkPort('receiver port', first + n, 'our_ae.base_port')))
  const taken = all.filter(({ status }) => status !== 'ok')
  // the service passes over a port that is taken
  return [...findings, ...(taken.length === 0 || running ? [ok('receiver port', `${first} to ${first + range - 1}`)] : taken.map(one => ({ ...one, status: taken.length === range ? one.status : 'warning' as const })))]
}

async function checkPort (name: string, port: number, key: string, host?: string): Promise<Finding> {
  const code = await new Promise<string | undefined>(resolve => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => { resolve(error.code ?? 'error') })
    probe.listen(port, host, () => { probe.close(() => { resolve(undefined) }) })
  })
  switch (code) {
    case undefined: return ok(name, `${port} is free`)
    case 'EADDRINUSE': return { name, status: 'down', detail: `${port} is taken by ${listenerOn(port) ?? 'another program'}`, advice: [`end that program, or change ${key}${key === 'server.port' ? '' : ' here and at the PACS'}`] }
    case 'EACCES': return { name, status: 'down', detail: `this user may not listen on ${port}`, advice: [`take a port from 1024 up (${key}), or give the right: AmbientCapabilities=CAP_NET_BIND_SERVICE`] }
    default: return { name, status: 'down', detail: `cannot listen on ${host ?? ''}:${port}: ${code}`, advice: [`check ${key === 'server.port' ? 'server.host' : key}`] }
  }
}

/** Who listens on a port, as far as this user may see: `java (process 123)`. */
function listenerOn (port: number): string | undefined {
  const sockets = new Set(listeningSockets(port))
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      if (!readdirSync(`/proc/${pid}/fd`).some(descriptor => { try { return sockets.has(readlinkSync(`/proc/${pid}/fd/${descriptor}`)) } catch { return false } })) continue
      return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (process ${pid})`
    } catch { /* ended, or another user's */ }
  }
  return undefined
}

export async function checkDisk (config: Config): Promise<Finding> {
  const { temp_dir: folder, keep_max_bytes: keep, keepForMs, keepMaxBytes } = config.iso
  const { freeBytes: free, type } = await diskOf(folder)
  const detail = `${(free / GIB).toFixed(1)} GiB free in ${folder}`
  // statfs(2): TMPFS_MAGIC
  if (type === 0x01021994) return { name: 'disk', status: 'warning', detail: `${detail}, which is memory (tmpfs)`, advice: ['set iso.temp_dir to a folder on a disk'] }
  if (free < GIB) return { name: 'disk', status: 'down', detail, advice: ['make room, or set iso.temp_dir to a larger disk'] }
  if (keepForMs > 0 && free < keepMaxBytes) return { name: 'disk', status: 'warning', detail: `${detail}, less than iso.keep_max_bytes ${keep}`, advice: ['lower iso.keep_max_bytes, so that kept studies leave room for those under way'] }
  return ok('disk', detail)
}
