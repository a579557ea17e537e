/** Chromium of the machine, for tests and screenshots. */
import { chromium, type Browser } from 'playwright-core'

/** What a page must show has so long, on a machine that does ten other things too. */
const PATIENCE_MS = 60_000

/** @throws when Chromium is not installed */
export async function startBrowser (): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    // root has no sandbox; nothing here may call home
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
  })
  browser.on('context', context => { context.setDefaultTimeout(PATIENCE_MS) })
  return browser
}
