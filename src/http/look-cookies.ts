/** Cookies of a look: the secret that opens it, which so stands in no address and no log, and the number by which nginx finds the machine. */
import type { Look } from '../disc/look/looks.ts'

const SECRET = 'mkiso_look'
/** As in config/nginx/upstream.conf. */
const STUDY = 'mkiso_study'
/** What may stand in the value of a cookie and in a query alike. */
const PLAIN = /^[\w.~%*+!()'-]+(?:,[\w.~%*+!()'-]+)*$/

/** The folder in which a look's files are. */
export function lookPath (id: string): string {
  return `/look/${id}/`
}

/** @param url of the request, whose accession numbers go over as they are written there: nginx compares them so */
export function lookCookies ({ id, secret }: Look, url: string, secure: boolean): string[] {
  // Lax: a link of the HIS, which is another site, leads here
  const attributes = `Path=${lookPath(id)}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  const written = /[?&]accession_number=([^&#]*)/.exec(url)?.[1] ?? ''
  return [`${SECRET}=${secret}; ${attributes}`, ...PLAIN.test(written) ? [`${STUDY}=${written}; ${attributes}`] : []]
}

export function secretOf (cookies: string | undefined): string {
  return new RegExp(`(?:^|;\\s*)${SECRET}=([\\w-]+)`).exec(cookies ?? '')?.[1] ?? ''
}
