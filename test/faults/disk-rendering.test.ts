/**
 * The disk fills while something is made of the images: a decoded copy, a picture, the directories of the image. There is no disc, and a sentence that
 * says why, or there is one that has every image as it should be; and what is to stay free stays free.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { until } from '../../src/process.ts'
import { readDisc, service, temporaryFolder, world, type Overrides, type Service, type World } from '../world.ts'
import { faultStudy, linkTo, nothingRemains } from './harness.ts'

const MIB = 1_024 ** 2
const DISK_MIB = 48
const RESERVE_MIB = 8
const IMAGES = 12
const ACCESSION_NUMBER = 'FULL.1'

/** A program that fills the disk when it is called for the third time, but for so many KiB, and then does its work. */
function filling (t: Test, program: string, disk: string, leavesKib: number, at = 3): { path: string, calls: () => number } {
  const folder = temporaryFolder(t, 'tool')
  const path = join(folder, program)
  const calls = join(folder, 'calls')
  writeFileSync(calls, '')
  writeFileSync(path, `#!/bin/sh
echo >> ${calls}
# two of them run at a time: the other one waits
if [ "$(wc -l < ${calls})" -ge ${at} ]; then
  if mkdir ${folder}/filling 2> /dev/null; then
    mkdir ${disk}/another-program
    left=$(( $(df --output=avail -k ${disk} | tail -1) - ${leavesKib} ))
    # its limit of file size is ours too
    while [ $left -gt 0 ]; do
      size=$(( left < 512 ? left : 512 ))
      head -c "$(( size * 1024 ))" /dev/zero > ${disk}/another-program/$left
      left=$(( left - size ))
    done
    touch ${folder}/filled
  fi
  until [ -e ${folder}/filled ]; do sleep 0.01; done
fi
exec ${program} "$@"
`)
  chmodSync(path, 0o755)
  return { path, calls: () => readFileSync(calls, 'utf8').length }
}

async function start (t: Test, here: World, overrides: (disk: string) => Overrides): Promise<{ mkiso: Service, disk: string }> {
  const disk = temporaryFolder(t, 'disk')
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', disk])
  t.teardown(() => { execFileSync('umount', ['-l', disk]) })
  const { iso, ...more } = overrides(disk)
  return { disk, mkiso: await service(t, here.pacs, here.receiverPort, { ...more, iso: { temp_dir: disk, disk_reserve: `${RESERVE_MIB}M`, microdicom_path: '', keep_for: '0', ...iso } }) }
}

const freeMib = (disk: string): number => { const { bavail, bsize } = statfsSync(disk); return bavail * bsize / MIB }

t.test('the disk fills while something is made of the images', async t => {
  const here = await world(t, 'orthanc', { studies: [] })
  const instances = await writeStudy(faultStudy(ACCESSION_NUMBER, { images: IMAGES, size: 512 }), temporaryFolder(t, 'phantoms'), here.programs)
  for (const { path } of instances) {
    const { exitCode, stderr } = await here.programs.run('dcmcrle', [path, path])
    if (exitCode !== 0) throw new Error(stderr)
  }
  await here.pacs.store(instances.map(({ path }) => path))
  const expected = instances.map(({ sopInstanceUid }) => sopInstanceUid).sort()

  /** @returns what came: a disc that has everything, or the code of the error */
  const ask = async (t: Test, mkiso: Service, syntax?: string): Promise<string> => {
    const answer = await mkiso.get(linkTo(ACCESSION_NUMBER))
    if (answer.status !== 200) {
      t.match(answer.json(), { error: 'insufficient disk space', request_id: answer.headers['x-request-id'] })
      return String(answer.json()['code'])
    }
    const { root, files, instances, objects } = await readDisc(t, answer.body, here.programs)
    t.strictSame([...instances.keys()].sort(), expected, 'every image')
    if (syntax !== undefined) t.strictSame([...new Set(objects.map(({ object }) => object.transferSyntaxUid))], [syntax], 'as it should be')
    const broken = files.filter(name => name.toLowerCase().endsWith('.jpg') && !readFileSync(join(root, name)).subarray(-2).equals(Buffer.from([0xFF, 0xD9])))
    t.strictSame(broken, [], 'no picture is cut off')
    return 'disc'
  }

  for (const leavesKib of [RESERVE_MIB * 1_024 + 800, 700, 0]) {
    await t.test(`decoded copies, with ${leavesKib} KiB left`, async t => {
      let tool: ReturnType<typeof filling> | undefined
      const { mkiso, disk } = await start(t, here, disk => {
        tool = filling(t, 'dcmdrle', disk, leavesKib)
        return { dcmtk: { dcmdrle: tool.path }, disc: { transfer_syntax: 'uncompressed', web_content: 'none', viewer: false } }
      })
      t.equal(await ask(t, mkiso, '1.2.840.10008.1.2.1'), 'INSUFFICIENT_DISK_SPACE')
      t.ok((tool?.calls() ?? Infinity) <= 5, `it is not tried again and again: ${tool?.calls() ?? 0} copies`)
      t.ok(await until(() => freeMib(disk) >= Math.min(RESERVE_MIB, leavesKib / 1_024), 5_000), 'the reserve is there')
      rmSync(join(disk, 'another-program'), { recursive: true })
      t.equal(await ask(t, mkiso, '1.2.840.10008.1.2.1'), 'disc', 'and with room again there is a disc')
      await nothingRemains(t, mkiso)
    })
  }

  for (const leavesKib of [RESERVE_MIB * 1_024 - 100, 100]) {
    await t.test(`pictures, with ${leavesKib} KiB left`, async t => {
      let tool: ReturnType<typeof filling> | undefined
      const { mkiso, disk } = await start(t, here, disk => {
        tool = filling(t, 'dcmj2pnm', disk, leavesKib)
        return { dcmtk: { dcmj2pnm: tool.path }, disc: { web_content: 'all', viewer: false } }
      })
      const came = await ask(t, mkiso)
      t.ok(['disc', 'INSUFFICIENT_DISK_SPACE'].includes(came), came)
      t.ok((tool?.calls() ?? Infinity) <= 5, `none is drawn any more: ${tool?.calls() ?? 0} pictures`)
      t.comment(came)
      rmSync(join(disk, 'another-program'), { recursive: true })
      t.equal(await ask(t, mkiso), 'disc', 'and with room again there is a disc')
      t.equal(tool?.calls() === 0, false)
      await nothingRemains(t, mkiso)
    })
  }

  for (const viewer of [true, false]) {
    await t.test(`the directories of the image, ${viewer ? 'with' : 'without'} a viewer`, async t => {
      const { mkiso, disk } = await start(t, here, disk => ({ tools: { genisoimage: filling(t, 'genisoimage', disk, 0, 1).path }, disc: { web_content: 'none', viewer } }))
      t.equal(await ask(t, mkiso), 'INSUFFICIENT_DISK_SPACE')
      rmSync(join(disk, 'another-program'), { recursive: true })
      t.equal(await ask(t, mkiso), 'disc', 'and with room again there is a disc')
      await nothingRemains(t, mkiso)
      await mkiso.app.close()
      t.strictSame(readdirSync(disk), [], 'nothing is left on the disk')
    })
  }
})
