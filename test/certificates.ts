/** Certificates that go with a test. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Programs } from '../src/process.ts'

/** Paths of PEM files. */
export interface Certificates { ca: string, cert: string, key: string }

const openssl = async (programs: Programs, cwd: string, ...args: string[]): Promise<void> => {
  const { exitCode, stderr } = await programs.run('openssl', args, { cwd })
  if (exitCode !== 0) throw new Error(stderr)
}

/** A certificate authority of one's own, and certificates of it for 127.0.0.1. */
export async function authority (programs: Programs, folder: string, names: readonly string[]): Promise<Record<string, Certificates>> {
  mkdirSync(folder)
  writeFileSync(join(folder, 'extensions'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl(programs, folder, 'req', '-x509', ...EC, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA')
  return Object.fromEntries(await Promise.all(names.map(async (name): Promise<[string, Certificates]> => {
    await openssl(programs, folder, 'req', ...EC, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    await openssl(programs, folder, 'x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', String(names.indexOf(name) + 1), '-out', `${name}.pem`, '-days', '2', '-extfile', 'extensions')
    return [name, { ca: join(folder, 'ca.pem'), cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }]
  })))
}
