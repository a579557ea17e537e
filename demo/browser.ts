/** Chromium of the machine, for tests and screenshots. */
import { chromium, type Browser } from 'playwright-core'

/** @throws when Chromium is not installed */
export async function startBrowser (): Promise<Browser> {
  return await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    // root has no sandbox; nothing here may call home
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
  })
}
