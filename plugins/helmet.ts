/** Headers for browsers: pages run only what this service serves, talk only to it, and are not shown inside another site's pages. */
import fp from 'fastify-plugin'
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet'

const SELF = ["'self'"]
const NONE = ["'none'"]
/** The one style that Swagger UI writes into its page; a test in Chromium tells when another version needs another. */
const SWAGGER_STYLE = "'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='"

export const options: FastifyHelmetOptions = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: NONE, scriptSrc: SELF, fontSrc: SELF, connectSrc: SELF, formAction: SELF, baseUri: NONE, frameAncestors: SELF,
      // the form of a ZIP with a password is sent from a frame (download.js)
      frameSrc: SELF,
      styleSrc: [...SELF, request => request.url?.startsWith('/docs') === true ? SWAGGER_STYLE : "'self'"],
      // Swagger UI draws with pictures in its style sheet
      imgSrc: [...SELF, 'data:']
    }
  },
  // over HTTPS that is for nginx to say: the host may serve other things over HTTP (config/nginx)
  strictTransportSecurity: false,
  // a HIS that opens a window for a download watches when it closes
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  referrerPolicy: { policy: 'no-referrer' }
}

export default fp(async app => { await app.register(helmet, options) }, { name: 'helmet' })
