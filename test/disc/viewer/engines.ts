/**
 * Chromium, Firefox and WebKitGTK behind one interface, for pages from file://. Chromium by Playwright, Firefox by WebDriver BiDi, which it
 * speaks itself, and WebKit by WebDriver over HTTP on a display of Xvfb: Debian's Firefox and WebKit are not those that Playwright patches.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { request, WebSocket } from 'undici'
import { startBrowser } from '../../../demo/browser.ts'
import { freePort } from '../../../demo/ports.ts'
import type { Programs } from '../../../src/process.ts'
import { eventually } from '../../eventually.ts'

export type EngineName = 'chromium' | 'firefox' | 'webkit'

export interface Engine {
  name: EngineName
  open (url: string): Promise<void>
  /** The value of a JavaScript expression, which may be a promise; what JSON can hold. */
  evaluate<T> (expression: string): Promise<T>
  /** What stands in the window. */
  screenshot (): Promise<Picture>
  /** `Tab`, `Enter`, or one character, by the keyboard. */
  press (key: string): Promise<void>
  close (): Promise<void>
}

export interface EngineOptions {
  /** What the browser tells of the languages of its owner, as `Accept-Language`. */
  languages?: string
  /** Where it saves, without a question. */
  downloads?: string
  /** The owner likes it dark. */
  dark?: boolean
}

export interface Picture {
  width: number
  height: number
  /** Red, green and blue at a pixel of the window. */
  at (x: number, y: number): readonly [number, number, number]
  png: Buffer
}

export const WIDTH = 1_280
export const HEIGHT = 900

/** @param options of Chromium and Firefox */
export async function startEngine (name: EngineName, programs: Programs, options: EngineOptions = {}): Promise<Engine> {
  return name === 'chromium' ? await startChromium(options) : name === 'firefox' ? await startFirefox(programs, options) : await startWebkit(programs)
}

async function startChromium ({ languages, downloads, dark = false }: EngineOptions): Promise<Engine> {
  const browser = await startBrowser()
  const context = await browser.newContext({ viewport: { width: WIDTH, height: HEIGHT }, colorScheme: dark ? 'dark' : 'light', ...(languages === undefined ? {} : { extraHTTPHeaders: { 'accept-language': languages } }) })
  if (downloads !== undefined) {
    context.on('page', page => { page.on('download', download => { void download.saveAs(join(downloads, download.suggestedFilename())).catch(() => { /* it was cancelled */ }) }) })
  }
  const page = await context.newPage()
  return {
    name: 'chromium',
    open: async url => { await page.goto(url) },
    evaluate: async <T> (expression: string) => await page.evaluate(expression) as T,
    screenshot: async () => readPng(await page.screenshot()),
    press: async key => { await page.keyboard.press(key === ' ' ? 'Space' : key) },
    close: async () => { await browser.close() }
  }
}

/** Of WebDriver (W3C, 17.4.2), for keys that are no character. */
const KEYS: Record<string, string> = { Tab: '\uE004', Enter: '\uE007', Escape: '\uE00C' }

async function startFirefox (programs: Programs, { languages, downloads, dark = false }: EngineOptions): Promise<Engine> {
  const profile = mkdtempSync(join(tmpdir(), 'mkiso-firefox-'))
  writeFileSync(join(profile, 'user.js'), [
    ['browser.shell.checkDefaultBrowser', false], ['datareporting.policy.dataSubmissionEnabled', false], ['app.update.enabled', false],
    ['network.captive-portal-service.enabled', false], ['network.connectivity-service.enabled', false], ['browser.safebrowsing.update.enabled', false],
    ['services.settings.server', 'data:,'], ['toolkit.telemetry.enabled', false],
    ...(dark ? [['ui.systemUsesDarkTheme', 1]] : []),
    ...(languages === undefined ? [] : [['intl.accept_languages', languages]]),
    ...(downloads === undefined ? [] : [['browser.download.folderList', 2], ['browser.download.dir', downloads], ['browser.download.always_ask_before_handling_new_types', false], ['browser.download.alwaysOpenPanel', false]])
  ].map(([key, value]) => `user_pref(${JSON.stringify(key)}, ${JSON.stringify(value)});`).join('\n'))
  const port = await freePort()
  const child = programs.start('firefox-esr', ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', String(port), '--width', String(WIDTH), '--height', String(HEIGHT), 'about:blank'],
    { env: { MOZ_HEADLESS_WIDTH: String(WIDTH), MOZ_HEADLESS_HEIGHT: String(HEIGHT), HOME: profile } })
  const socket = await connected(`ws://127.0.0.1:${port}/session`)
  let sent = 0
  const waiting = new Map<number, { resolve: (value: unknown) => void, reject: (error: Error) => void }>()
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as { id?: number, type: string, result?: unknown, error?: string, message?: string }
    const asker = answer.id === undefined ? undefined : waiting.get(answer.id)
    if (answer.id === undefined || asker === undefined) return
    waiting.delete(answer.id)
    if (answer.type === 'error') asker.reject(new Error(`${answer.error}: ${answer.message}`))
    else asker.resolve(answer.result)
  })
  const send = async (method: string, params: object): Promise<unknown> => await new Promise((resolve, reject) => {
    waiting.set(++sent, { resolve, reject })
    socket.send(JSON.stringify({ id: sent, method, params }))
  })
  await send('session.new', { capabilities: {} })
  // the first tab has its address bar in the focus: a page in it takes keys, and presses no button (measured)
  const { context } = await send('browsingContext.create', { type: 'tab' }) as { context: string }
  await send('browsingContext.setViewport', { context, viewport: { width: WIDTH, height: HEIGHT } })
  return {
    name: 'firefox',
    open: async url => { await send('browsingContext.navigate', { context, url, wait: 'complete' }) },
    evaluate: async <T> (expression: string) => {
      const answer = await send('script.evaluate', { expression: `Promise.resolve(${expression}).then(value => JSON.stringify({ value }))`, target: { context }, awaitPromise: true }) as
        { type: string, result?: { value: string }, exceptionDetails?: { text: string } }
      if (answer.type !== 'success' || answer.result === undefined) throw new Error(answer.exceptionDetails?.text ?? 'no answer')
      return (JSON.parse(answer.result.value) as { value: T }).value
    },
    screenshot: async () => readPng(Buffer.from((await send('browsingContext.captureScreenshot', { context }) as { data: string }).data, 'base64')),
    press: async key => {
      const value = KEYS[key] ?? key
      await send('browsingContext.activate', { context })
      await send('input.performActions', { context, actions: [{ type: 'key', id: 'keyboard', actions: [{ type: 'keyDown', value }, { type: 'keyUp', value }] }] })
    },
    close: async () => {
      socket.close()
      await child.stop('stopped')
      rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    }
  }
}

async function connected (url: string): Promise<WebSocket> {
  for (let tries = 0; ; tries++) {
    const socket = new WebSocket(url)
    const opened = await new Promise<boolean>(resolve => {
      socket.addEventListener('open', () => { resolve(true) })
      socket.addEventListener('error', () => { resolve(false) })
    })
    if (opened) return socket
    if (tries > 100) throw new Error('Firefox does not answer')
    await new Promise(resolve => { setTimeout(resolve, 200) })
  }
}

const MINI_BROWSER = '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser'

async function startWebkit (programs: Programs): Promise<Engine> {
  const port = await freePort()
  const display = `:${1_000 + port % 30_000}`
  const home = mkdtempSync(join(tmpdir(), 'mkiso-webkit-'))
  const screen = programs.start('Xvfb', [display, '-screen', '0', '1600x1200x24', '-nolisten', 'tcp'], {})
  const driver = programs.start('WebKitWebDriver', [`--port=${port}`], {
    env: { DISPLAY: display, HOME: home, XDG_RUNTIME_DIR: home, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1', GTK_A11Y: 'none' }
  })
  const send = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown> => {
    const answer = await request(`http://127.0.0.1:${port}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }), headersTimeout: 60_000 })
    const { value } = await answer.body.json() as { value: unknown }
    if (answer.statusCode !== 200) throw new Error(JSON.stringify(value))
    return value
  }
  const up = await eventually(async () => await send('GET', '/status').then(() => true, () => false))
  if (up === false) throw new Error('WebKitWebDriver does not answer')
  const { sessionId } = await send('POST', '/session', {
    capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': { binary: MINI_BROWSER, args: ['--automation'] } } }
  }) as { sessionId: string }
  const session = `/session/${sessionId}`
  await send('POST', `${session}/window/rect`, { x: 0, y: 0, width: WIDTH, height: HEIGHT })
  return {
    name: 'webkit',
    open: async url => { await send('POST', `${session}/url`, { url }) },
    evaluate: async <T> (expression: string) => {
      const text = await send('POST', `${session}/execute/async`, {
        script: `const done = arguments[arguments.length - 1]; Promise.resolve().then(() => (${expression})).then(value => done(JSON.stringify({ value })), error => done(JSON.stringify({ error: String(error) })))`, args: []
      }) as string
      const answer = JSON.parse(text) as { value: T, error?: string }
      if (answer.error !== undefined) throw new Error(answer.error)
      return answer.value
    },
    screenshot: async () => readPng(Buffer.from(await send('GET', `${session}/screenshot`) as string, 'base64')),
    press: async key => {
      const value = KEYS[key] ?? key
      await send('POST', `${session}/actions`, { actions: [{ type: 'key', id: 'keyboard', actions: [{ type: 'keyDown', value }, { type: 'keyUp', value }] }] })
    },
    close: async () => {
      await send('DELETE', session).catch(() => undefined)
      await driver.stop('stopped')
      await screen.stop('stopped')
      rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    }
  }
}

/** As much of PNG as browsers write: 8 bits, RGB or RGBA, not interlaced. */
export function readPng (png: Buffer): Picture {
  const width = png.readUInt32BE(16)
  const height = png.readUInt32BE(20)
  const channels = png[25] === 6 ? 4 : png[25] === 2 ? 3 : png[25] === 0 ? 1 : 0
  if (channels === 0 || png[24] !== 8 || png[28] !== 0) throw new Error('a PNG of another kind')
  const parts: Buffer[] = []
  for (let position = 8; position < png.length;) {
    const length = png.readUInt32BE(position)
    if (png.toString('latin1', position + 4, position + 8) === 'IDAT') parts.push(png.subarray(position + 8, position + 8 + length))
    position += 12 + length
  }
  const raw = inflateSync(Buffer.concat(parts))
  const stride = width * channels
  const pixels = Buffer.alloc(stride * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)] ?? 0
    for (let x = 0; x < stride; x++) {
      const value = raw[y * (stride + 1) + 1 + x] ?? 0
      const left = x >= channels ? pixels[y * stride + x - channels] ?? 0 : 0
      const up = y > 0 ? pixels[(y - 1) * stride + x] ?? 0 : 0
      const corner = x >= channels && y > 0 ? pixels[(y - 1) * stride + x - channels] ?? 0 : 0
      const predicted = filter === 0 ? 0 : filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, corner)
      pixels[y * stride + x] = value + predicted
    }
  }
  return {
    width,
    height,
    png,
    at: (x, y) => {
      const offset = y * stride + x * channels
      const red = pixels[offset] ?? 0
      return channels === 1 ? [red, red, red] : [red, pixels[offset + 1] ?? 0, pixels[offset + 2] ?? 0]
    }
  }
}

function paeth (a: number, b: number, c: number): number {
  const p = a + b - c
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)]
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c
}
