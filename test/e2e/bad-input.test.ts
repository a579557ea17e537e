/** What a link may not hold: a clear 400, and no process has been started for it. */
import t from 'tap'
import { service } from '../world.ts'
import { freePort } from '../../demo/ports.ts'

t.test('bad accession numbers', async t => {
  // a PACS that is not there: a request that came so far would answer 502
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort())
  const before = mkiso.app.dcmtk.programs.started
  const values = ['*', '?', 'A\\B', 'A*', 'A?1', '', ' ', 'A'.repeat(65), 'A\nB', 'A\r\nX-Evil: 1', '../../etc', '..', 'A/../../etc', '-v', '--help', '\0', 'A\0B', 'é', '%', 'A;rm', 'A`id`', '$(id)', "A'B"]
  for (const value of values) {
    for (const path of ['download?accession_number=', 'download-multiple?accession_numbers=', 'download-multiple?accession_number=', 'print?accession_number=']) {
      const answer = await mkiso.get(`/api/iso/${path}${encodeURIComponent(value)}`)
      t.equal(answer.status, 400, `${path}${JSON.stringify(value).slice(0, 40)}`)
      t.match(answer.json(), { error: 'invalid accession_number', code: 'INVALID_ACCESSION_NUMBER', request_id: String })
    }
  }
  const queries: Array<[string, string]> = [
    ['download', 'missing'], ['download?accession_number=A&accession_number=B', 'twice'], ['download?accession_number=A,B', 'a list where one is expected'],
    ['download-multiple', 'missing'], ['download-multiple?accession_numbers=,,', 'only commas'], ['download-multiple?accession_numbers=A,A,A', 'only one, again and again'],
    ['download-multiple?accession_numbers=A,*', 'one wildcard in a list'], ['download-multiple?accession_numbers=A&accession_number=B', 'two that differ']
  ]
  for (const [query, what] of queries) {
    const answer = await mkiso.get(`/api/iso/${query}`)
    t.equal(answer.status, 400, what)
    t.equal(answer.json()['code'], 'INVALID_ACCESSION_NUMBER', what)
  }
  const tooMany = await mkiso.get(`/api/iso/download-multiple?accession_numbers=${Array.from({ length: 21 }, (_, index) => index).join()}`)
  t.match({ ...tooMany.json(), status: tooMany.status }, { status: 400, error: 'invalid accession_number', code: 'TOO_MANY_ACCESSION_NUMBERS', detail: /21 .* at most 20/ })
  // what the validator says of its schema is for nobody who has a link
  for (const [query, detail] of [
    ['download?accession_number=A&disc=0', 'disc of the link is not valid (see /docs)'], ['download', 'accession_number is missing'],
    ['download?accession_number=A&accession_number=B', 'accession_number of the link is there more than once, or is no text'],
    [`download?accession_number=${'A'.repeat(65)}`, 'accession_number is longer than 64 characters'], ['progress?accession_number=A&id=x', 'id of the link is not valid (see /docs)']
  ] as const) t.match((await mkiso.get(`/api/iso/${query}`)).json(), { detail })
  t.equal(mkiso.app.dcmtk.programs.started, before, 'no process was started')
  t.strictSame(mkiso.leftovers(), [])
})

t.test('a good one reaches the PACS', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort())
  for (const value of ['MR.2024.001', ' A1 ', 'RAD/2024/1', 'A 1', 'A'.repeat(64), '1']) {
    t.equal((await mkiso.get(`/api/iso/download?accession_number=${encodeURIComponent(value)}`)).status, 502, value)
  }
})
