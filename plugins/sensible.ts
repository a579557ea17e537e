/** Small helpers of HTTP: `reply.vary` adds to what others have said. Errors stay those of src/errors.ts, not httpErrors. */
import fp from 'fastify-plugin'
import sensible, { type FastifySensibleOptions } from '@fastify/sensible'

export const options: FastifySensibleOptions = {}

export default fp(async app => { await app.register(sensible, options) }, { name: 'sensible' })
