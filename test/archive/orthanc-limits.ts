/**
 * Whether this Orthanc keeps to LimitFindResults and LimitFindInstances. 1.10.1 (Debian 12) cuts a list to them and ends it with 0xFE00; 1.12.7
 * (Debian 13) answers all of it and success, whatever they say: measured with 6 studies and with 12 and 40 images at a limit of 5. Asked with findscu
 * itself, so that the test does not ask what it tests.
 */
import type { World } from '../world.ts'

/** @param key as `AccessionNumber=X`, which more studies match than `limit` */
export async function keepsItsLimit ({ pacs, programs }: World, key: string, limit: number): Promise<boolean> {
  const keys = ['QueryRetrieveLevel=STUDY', key, 'StudyInstanceUID'].flatMap(one => ['-k', one])
  const { stdout, stderr } = await programs.run('findscu', ['-d', '-S', '-aec', pacs.aeTitle, ...keys, pacs.host, String(pacs.port)])
  const answers = `${stdout}${stderr}`.match(/DIMSE Status\s+: 0xff00/g)?.length ?? 0
  if (answers === 0) throw new Error(`Orthanc answers nothing to ${key}`)
  return answers <= limit
}
