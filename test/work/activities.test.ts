import t from 'tap'
import { Activities } from '../../src/work/activities.ts'

const CALLER = { address: '10.0.0.1', credential: undefined, user: undefined }

t.test('many pages of one study: each hears of its own activity only (400 pages looked 160,000 times at each image)', async t => {
  const activities = new Activities()
  const pages = Array.from({ length: 400 }, (_, index) => activities.begin({ requestId: String(index), kind: 'download', accessionNumbers: ['A'], caller: CALLER }))
  const heard = pages.map(() => 0)
  const stops = pages.map((activity, index) => activities.listenTo(activity, () => { heard[index] = (heard[index] ?? 0) + 1 }))
  t.equal(activities.listenerCount('changed'), 0, 'nobody listens to all')
  pages[7]?.onComplete()
  t.strictSame(heard.map((count, index) => index === 7 ? count - 1 : count), pages.map(() => 0))
  stops[7]?.()
  pages[7]?.onProgress({ received: 1, expected: 2, bytes: 3, waiting: false })
  t.equal(heard[7], 1, 'who has left hears nothing')
  const [page] = pages.slice(8, 9)
  if (page === undefined) throw new Error('no page')
  const second = activities.listenTo(page, () => { heard[8] = 100 })
  stops[8]?.()
  pages[8]?.end({ kind: 'success' })
  t.equal(heard[8], 100, 'the end, though another of its listeners has left')
  second()
})
