/** The entry for us at the PACS, in the words of the PACS that are met most. */
import { connect } from 'node:net'
import type { ArchiveSettings, Config } from '../config/schema.ts'
import { aeTitleAt } from '../dcmtk/ae-title.ts'
import { receiverTlsOf } from '../archive/dimse/pacs.ts'

/** The address by which this machine talks to a peer, which is where the peer must send to; undefined when it cannot be reached. */
export async function addressTowards (host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return await new Promise(resolve => {
    const socket = connect({ host, port, timeout: timeoutMs })
    const end = (address?: string): void => {
      socket.destroy()
      resolve(address)
    }
    socket.once('connect', () => { end(socket.localAddress?.replace(/^::ffff:/, '')) })
    socket.once('error', () => { end() })
    socket.once('timeout', () => { end() })
  })
}

/**
 * What to add at the PACS.
 * @param address of this machine as the PACS reaches it, as far as it is known
 */
export function entryAdvice (config: Config, archive: ArchiveSettings, address: string | undefined): string[] {
  const { base_port: port, port_range: range, receiver } = config.our_ae
  const host = address ?? 'ADDRESS-OF-THIS-MACHINE'
  const title = aeTitleAt(config, 0)
  if (archive.retrieve === 'get') return [`allow at the PACS: AE title ${title}, host ${host}, with the right to C-FIND and C-GET`]
  const last = range - 1
  const tls = receiverTlsOf(archive) !== undefined
  const orthanc = tls ? `{ "AET": "${title}", "Host": "${host}", "Port": ${port}, "UseDicomTls": true }` : `["${title}", "${host}", ${port}]`
  return [
    `add at the PACS: AE title ${title}, host ${host}, port ${port}` + (receiver === 'per-request' && last > 0 ? `, and so on up to AE title ${aeTitleAt(config, last)}, port ${port + last}` : ''),
    `  dcmqrscp.cfg, HostTable:      mkiso = (${title}, ${host}, ${port})`,
    `  orthanc.json:                 "DicomModalities": { "mkiso": ${orthanc} }`,
    `  dcm4chee-arc, AE List, New:   AE Title ${title}, Hostname ${host}, Port ${port}`,
    `and allow it C-FIND and C-MOVE (Study Root)${tls ? '; the PACS must send over TLS (tls.incoming)' : ''}`,
    // a container or an address translation between the two hides it from us
    ...(address === undefined || address.startsWith('127.') || address === '::1' ? [] : [`${host} is this machine's address towards the PACS; if the PACS reaches it by another (container, NAT), enter that one`])
  ]
}
