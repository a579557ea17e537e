/** The real nginx with `config/nginx.conf` in front of services: for tests only addresses, paths and the site's choices are changed. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { listening } from '../../demo/pacs.ts'
import { freePort } from '../../demo/ports.ts'
import type { Child, Programs } from '../../src/process.ts'
import { programsOf, temporaryFolder } from '../world.ts'

const CONFIG = join(import.meta.dirname, '../../config')

export interface NginxOptions {
  /** Services, `host:port`. */
  upstreams: readonly string[]
  /** Stage 2: the key that nginx adds. */
  key?: string
  /** In a browser the PHP links open the pages (as shipped), or download at once. */
  links?: 'direct' | 'pages'
  /** Certificate and its key, for the HTTPS server as well. */
  tls?: { certificate: string, key: string }
  /** Leaves the limits per address as they are shipped; else a test, which is one address, would meet them. */
  limits?: boolean
}

export interface Nginx {
  /** `http://127.0.0.1:port` */
  url: string
  tlsUrl: string
  child: Child
  /** The access log so far. */
  accessLog (): string
  /** The error log so far. */
  errorLog (): string
  /** The configuration's folder, for a test that edits it as an operator would. */
  folder: string
  /** What `nginx -t` says. */
  check (): Promise<{ exitCode: number, stderr: string }>
  /** As `systemctl reload nginx`. */
  reload (): void
}

/** Starts nginx in the foreground; it goes with the test. */
export async function startNginx (t: Pick<Test, 'teardown'>, options: NginxOptions): Promise<Nginx> {
  const folder = temporaryFolder(t, 'nginx')
  const [port, tlsPort] = [await freePort(), await freePort()]
  install(folder, options, { port, tlsPort })
  return await start(t, folder, { port, tlsPort })
}

/**
 * The nginx of an administrator who knows nothing of us: one location with `proxy_pass`. It speaks HTTP/1.0 to what is behind it (`proxy_http_version`),
 * spools answers to its disk (`proxy_buffering`) and waits a minute for the next byte (`proxy_read_timeout`).
 * @param target `host:port`
 * @param listen what else stands in its `listen`: `http2`
 * @param location what else stands in its location
 */
export async function startPlainNginx (t: Pick<Test, 'teardown'>, target: string, { listen = '', location = '' } = {}): Promise<Nginx> {
  const folder = temporaryFolder(t, 'nginx')
  const [port, tlsPort] = [await freePort(), await freePort()]
  writeFileSync(join(folder, 'mkiso.conf'), `server { listen 127.0.0.1:${port} ${listen}; access_log ${join(folder, 'mkiso.log')}; location / { proxy_pass http://${target}; ${location} } }\n`)
  writeAround(folder)
  return await start(t, folder, { port, tlsPort })
}

async function start (t: Pick<Test, 'teardown'>, folder: string, { port, tlsPort }: { port: number, tlsPort: number }): Promise<Nginx> {
  const programs = programsOf(t)
  // Debian compiles the path of the error log in: -e keeps the first lines of a start out of /var/log
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')]
  const child = programs.start('nginx', args, { cwd: folder })
  await listening(child, port, 'nginx')
  return {
    url: `http://127.0.0.1:${port}`,
    tlsUrl: `https://127.0.0.1:${tlsPort}`,
    child,
    folder,
    accessLog: () => readFileSync(join(folder, 'mkiso.log'), 'utf8'),
    errorLog: () => readFileSync(join(folder, 'error.log'), 'utf8'),
    check: async () => await check(programs, args),
    reload: () => { process.kill(child.pid, 'SIGHUP') }
  }
}

async function check (programs: Programs, args: readonly string[]): Promise<{ exitCode: number, stderr: string }> {
  const { exitCode, stderr } = await programs.run('nginx', [...args, '-t'])
  return { exitCode, stderr }
}

function install (folder: string, { upstreams, key, links = 'pages', tls, limits = false }: NginxOptions, { port, tlsPort }: { port: number, tlsPort: number }): void {
  cpSync(join(CONFIG, 'nginx'), join(folder, 'mkiso'), { recursive: true })
  const edit = (name: string, target: string, ...changes: Array<[RegExp, string]>): void => {
    const text = changes.reduce((before, [from, to]) => {
      if (!from.test(before)) throw new Error(`${name} has no ${String(from)}`)
      return before.replaceAll(new RegExp(from, 'gm'), to)
    }, readFileSync(join(CONFIG, name), 'utf8'))
    writeFileSync(join(folder, target), text)
  }
  const own: Array<[RegExp, string]> = [[/\/var\/log\/nginx\/mkiso\.log/, join(folder, 'mkiso.log')]]
  edit('nginx.conf', 'mkiso.conf', [/^ {4}listen 80 default_server/m, `    listen 127.0.0.1:${port}`], ...own, ...(tls === undefined ? [] : [[/^# (include mkiso\/tls\.conf;)/m, '$1'] as [RegExp, string]]))
  edit('nginx/upstream.conf', 'mkiso/upstream.conf', [/^ {4}server 127\.0\.0\.1:8080( .+;)/m, upstreams.map(address => `    server ${address}$1`).join('\n')])
  if (key !== undefined) edit('nginx/key.conf', 'mkiso/key.conf', [/# "" .*$/m, `"" "${key}";`])
  if (tls !== undefined) {
    edit('nginx/tls.conf', 'mkiso/tls.conf', [/^ {4}listen 443 ssl default_server/m, `    listen 127.0.0.1:${tlsPort} ssl`], ...own,
      [/\/etc\/nginx\/mkiso\/tls\/fullchain\.pem/, tls.certificate], [/\/etc\/nginx\/mkiso\/tls\/privkey\.pem/, tls.key])
  }
  if (links === 'direct') edit('nginx/locations.conf', 'mkiso/locations.conf', [/^(include mkiso\/links-pages)/m, '# $1'], [/^# (include mkiso\/links-direct)/m, '$1'])
  if (!limits) edit('nginx/http.conf', 'mkiso/http.conf', [/rate=2r\/s/, 'rate=1000r/s'])
  writeAround(folder)
}

/** What Debian's /etc/nginx/nginx.conf has around a site, and nothing that would need root. */
function writeAround (folder: string): void {
  mkdirSync(join(folder, 'temp'))
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${join(folder, 'temp', kind)};`).join(' ')
  writeFileSync(join(folder, 'nginx.conf'), `${process.getuid?.() === 0 ? 'user root; ' : ''}daemon off; master_process on; worker_processes 2; pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'error.log')} notice;
events { worker_connections 256; }
http { ${temp} gzip on; include mkiso.conf; }
`)
}
