import t from 'tap'
import { PortPool } from '../../src/archive/dimse/port-pool.ts'

t.test('no slot is given twice, and none is lost', async t => {
  const pool = new PortPool(3)
  const slots = [pool.lease(), pool.lease(), pool.lease()]
  t.strictSame(slots.map(({ index }) => index).sort(), [0, 1, 2])
  t.throws(() => pool.lease(), { code: 'TOO_MANY_CONCURRENT' })
  slots[1]?.release()
  slots[1]?.release()
  t.equal(pool.inUse, 2, 'a second release does no harm')
  t.equal(pool.lease().index, 1)
})

t.test('a slot whose port is taken by another program is passed over', async t => {
  const pool = new PortPool(2)
  t.equal(pool.lease(new Set([0])).index, 1)
  t.throws(() => pool.lease(new Set([0])), { code: 'TOO_MANY_CONCURRENT' })
})
