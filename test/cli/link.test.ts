/** `mkiso link`: what it makes is taken by the service, and what it cannot make it refuses with a sentence. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import QRCode from 'qrcode'
import t from 'tap'
import { request } from 'undici'
import { freePort } from '../../demo/ports.ts'
import { command, service, temporaryFolder, type CommandRun } from '../world.ts'

const SECRET = '0123456789abcdef0123456789abcdef'
const SITE = 'https://mkiso.example'

t.test('mkiso link', async t => {
  const folder = temporaryFolder(t)
  const file = (name: string, auth: object, server: object = { public_url: SITE }): string => {
    const path = join(folder, name)
    writeFileSync(path, JSON.stringify({ server, auth, iso: { temp_dir: folder } }))
    return path
  }
  const path = file('mkiso.yaml', { enabled: true, signed_links: { secret: SECRET, max_age: '2h' } })
  const link = async (...args: string[]): Promise<CommandRun> => await command(t, ['link', ...args, ...(args.includes('--config') ? [] : ['--config', path])])
  // nobody is at the PACS: 502 says that the request was let in
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort(), {
    auth: { enabled: true, signed_links: { secret: SECRET, max_age: '2h' } }
  })
  const status = async (url: string): Promise<number> => {
    const { statusCode, body } = await request(mkiso.url + url.trim().slice(SITE.length))
    await body.dump()
    return statusCode
  }

  t.test('the service takes what it makes', async t => {
    const page = await link('A')
    t.match(page, { code: 0, err: '' })
    t.match(page.out, /^https:\/\/mkiso\.example\/download\?accession_number=A&expires=\d+&signature=[0-9a-f]{64}\n$/, 'one line for a script')
    t.equal(await status(page.out), 200)
    t.equal(await status(page.out.replace('/download', '/api/iso/download')), 502)
    const direct = await link('A,B', '--direct', '--for', '30m', '--once', '--format', 'zip', '--modality', 'SR')
    t.match(direct.out, /\/api\/iso\/download-multiple\?accession_number=A,B&format=zip&expires=\d+&once=[0-9a-f]{32}&modality=SR&signature=/)
    t.equal(await status(direct.out), 502)
    t.equal(await status(direct.out.replace('&modality=SR', '')), 401, 'it opens no more than it says')
    t.equal(await status(direct.out.replace(/&once=\w+/, '')), 401)
    const seconds = Number(/expires=(\d+)/.exec(direct.out)?.[1]) - Date.now() / 1_000
    t.ok(seconds > 1_700 && seconds <= 1_800, 'half an hour')
    const based = await link('A', '--base', 'http://10.0.0.5:8080/')
    t.match(based.out, /^http:\/\/10\.0\.0\.5:8080\/download\?/)
  })

  t.test('a QR code, on the terminal and as a picture', async t => {
    const { out } = await link('A', '--qr')
    const [url = ''] = out.split('\n')
    t.equal(out, `${url}\n${await QRCode.toString(url, { type: 'utf8' })}\n`)
    for (const [name, begin] of [['a.svg', /^<svg /], ['a.png', /^.PNG/]] as const) {
      const picture = join(folder, name)
      t.match(await link('A', '-o', picture), { code: 0, err: `mkiso: the QR code is in ${picture}\n` })
      t.match(readFileSync(picture, 'latin1'), begin)
      t.equal(statSync(picture).mode & 0o777, 0o600, 'a link is a key')
      t.match(await link('A', '-o', picture), { code: 1, out: '', err: `mkiso: ${picture} exists; --force replaces it\n` })
      t.match(await link('A', '-o', picture, '--force'), { code: 0 })
    }
  })

  t.test('what is refused', async t => {
    for (const [args, sentence] of [
      [[], /accession_number is empty/], [['A*'], /wildcards/], [['A', '--for', '3h'], /longer than auth\.signed_links\.max_age/], [['A', '--for', 'ever'], /not a time/],
      [['A', '--format', 'rar'], /not iso or zip/], [['A', '--series', '1.2,../x'], /not a list of Series/], [['A', '--modality', 'ct'], /not a list such as CT,SR/],
      [['A', '-o', 'x.gif'], /neither \.svg nor \.png/], [['A', '--base', 'ftp://x'], /not an address/],
      [['A', '--config', file('nowhere.yaml', { signed_links: { secret: SECRET } }, {})], /set server\.public_url, or give --base/]
    ] as const) {
      const { code, out, err } = await link(...args)
      t.match({ code, out, err }, { code: 2, out: '', err: sentence }, args.join(' '))
    }
    t.match(await link('A', '--config', file('none.yaml', { enabled: true, api_key: 'key' })), { code: 1, out: '', err: /auth\.signed_links\.secret is empty/ })
    t.match(await link('A', '--config', file('path.yaml', {}, { public_url: 'https://x.example/y' })), { code: 1, err: /server\.public_url "https:\/\/x\.example\/y" is not an address without a path/ })
    t.match(await link('A', '--config', file('open.yaml', { signed_links: { secret: SECRET } })), { code: 0, err: /auth\.enabled is false/ })
  })
})
