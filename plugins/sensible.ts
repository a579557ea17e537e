/** Small helpers of HTTP; the error handler stays ours. */
import fp from 'fastify-plugin'
import sensible, { type FastifySensibleOptions } from '@fastify/sensible'

export const options: FastifySensibleOptions = {}

export default fp(async app => { await app.register(sensible, options) }, { name: 'sensible' })
