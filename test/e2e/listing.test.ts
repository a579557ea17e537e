/** The move begins before the PACS has said what the study consists of; a disc is complete all the same, and holds nothing else. */
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ctStudy } from '../../demo/phantoms/studies.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, readDisc, service, world, type Service } from '../world.ts'

const IMAGES = 40

/** Images of the studies under way. */
function here (mkiso: Service): number {
  const { workDir } = mkiso.app
  return readdirSync(workDir).filter(name => name.startsWith('study_')).reduce((sum, name) => sum + readdirSync(join(workDir, name)).length, 0)
}

t.test('the list of instances comes after the images', async t => {
  const at = await world(t, 'dcmqrscp', { studies: [ctStudy('CT1', IMAGES)] })
  const gate = join(at.folder, 'gate')
  /** No PACS can be told when to answer, or to answer wrongly: a findscu of ours stands before the real one. */
  const listing = async (name: string, answer: string): Promise<Service> => {
    const findscu = join(at.folder, name)
    writeFileSync(findscu, `#!/bin/sh\ncase "$*" in *0008,0052=IMAGE*) while [ ! -e ${gate}-${name} ]; do sleep 0.02; done\n${answer}\nesac\nexec /usr/bin/findscu "$@"\n`)
    chmodSync(findscu, 0o755)
    return await service(t, at.pacs, at.receiverPort, { dcmtk: { findscu } })
  }
  const afterTheImages = async (mkiso: Service, name: string) => {
    const answer = mkiso.get('/api/iso/download?accession_number=CT1')
    t.ok(await eventually(() => here(mkiso) === IMAGES), 'every image is here while nobody knows how many there are')
    writeFileSync(`${gate}-${name}`, '')
    return await answer
  }

  await t.test('late', async t => {
    const mkiso = await listing('late', '')
    const answer = await afterTheImages(mkiso, 'late')
    t.equal(answer.status, 200)
    t.strictSame([...(await readDisc(t, answer.body, at.programs)).instances.keys()].sort(), at.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort())
    t.strictSame(await nothingLeft(mkiso), [])
    await mkiso.app.close()
  })

  await t.test('a list that is cut without a word: what the PACS counts while it sends says more, and every image is on the disc', async t => {
    const mkiso = await listing('short', `output=$(/usr/bin/findscu "$@" 2>&1)
file=$(echo "$*" | sed 's/.*-Xs \\([^ ]*\\).*/\\1/')
line=$(grep -n '<data-set' "$file" | tail -1 | cut -d: -f1)
{ head -n $((line - 1)) "$file"; echo '</responses>'; } > "$file.short" && mv "$file.short" "$file"
echo "$output" | sed '0,/Received Find Response/{/Received Find Response/d}'
exit 0;;`)
    const answer = await afterTheImages(mkiso, 'short')
    t.equal(answer.status, 200)
    t.equal((await readDisc(t, answer.body, at.programs)).instances.size, IMAGES, 'though the lists of both series are one shorter')
    t.strictSame(await nothingLeft(mkiso), [])
    await mkiso.app.close()
  })

  await t.test('a list that cannot be had', async t => {
    const mkiso = await listing('broken', 'exec /usr/bin/findscu -v -S -k 0008,0052=STUDY 127.0.0.1 9;;')
    const answer = await afterTheImages(mkiso, 'broken')
    t.equal(answer.status, 502)
    t.match(answer.json(), { code: 'PACS_UNREACHABLE' })
    t.strictSame(await nothingLeft(mkiso), [])
    await mkiso.app.close()
  })

  await t.test('the client leaves before the list is there', async t => {
    const mkiso = await listing('never', '')
    const leaving = new AbortController()
    const left = fetch(`${mkiso.url}/api/iso/download?accession_number=CT1`, { signal: leaving.signal }).catch((error: Error) => error.name)
    t.ok(await eventually(() => here(mkiso) === IMAGES))
    leaving.abort()
    t.equal(await left, 'AbortError')
    t.strictSame(await nothingLeft(mkiso), [])
    await mkiso.app.close()
  })

  await t.test('a second client joins before the list is there; the first leaves', async t => {
    const mkiso = await listing('joined', '')
    const leaving = new AbortController()
    const left = fetch(`${mkiso.url}/api/iso/download?accession_number=CT1`, { signal: leaving.signal }).catch((error: Error) => error.name)
    t.ok(await eventually(() => here(mkiso) === IMAGES))
    const stays = mkiso.get('/api/iso/download?accession_number=CT1')
    t.ok(await eventually(() => mkiso.log.some(({ msg }) => String(msg).includes('joins'))))
    const before = at.pacs.moves()
    leaving.abort()
    t.equal(await left, 'AbortError')
    writeFileSync(`${gate}-joined`, '')
    const answer = await stays
    t.equal((await readDisc(t, answer.body, at.programs)).instances.size, IMAGES)
    t.equal(at.pacs.moves(), before, 'nothing was moved for the second')
    t.strictSame(await nothingLeft(mkiso), [])
    await mkiso.app.close()
  })
})
