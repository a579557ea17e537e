/** A HIS for demo and tests: `GET /patient/by-accession`, and every way in which it can fail. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export type PatientApiMode = 'ok' | 'slow' | 'error' | 'hang' | 'nonsense' | 'another-patient'

export interface PatientApi {
  readonly port: number
  readonly baseUrl: string
  /** Accession numbers that were asked for, in order. */
  readonly requests: string[]
  /** The Authorization headers that came with them. */
  readonly authorizations: Array<string | undefined>
  mode: PatientApiMode
  close (): Promise<void>
}

/** @param patients accession number to patient name */
export async function startPatientApi (patients: ReadonlyMap<string, string>, port = 0, host = '127.0.0.1'): Promise<PatientApi> {
  const closing = new AbortController()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const accessionNumber = url.searchParams.get('accession_number') ?? ''
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (url.pathname !== '/api/patient/by-accession') { answer(404, { error: 'no such path' }); return }
    api.requests.push(accessionNumber)
    api.authorizations.push(request.headers.authorization)
    const name = patients.get(accessionNumber)
    const reply = (): void => {
      if (name === undefined) answer(404, { error: 'accession_number not found' })
      else answer(200, { accession_number: accessionNumber, medrec_id: '00012345', reg_id: 'REG-2024-00123', patient_name: name, modality: 'CT', study_description: '' })
    }
    switch (api.mode) {
      case 'ok': reply(); break
      case 'slow': delay(300, undefined, { signal: closing.signal }).then(reply, () => {}); break
      case 'error': answer(500, { error: 'database down' }); break
      case 'nonsense': response.writeHead(200, { 'content-type': 'text/html' }).end('<html>login</html>'); break
      case 'another-patient': answer(200, { accession_number: 'OTHER', patient_name: 'SOMEBODY ELSE' }); break
      case 'hang': break
    }
  })
  await new Promise<void>(resolve => { server.listen(port, host, resolve) })
  const actual = (server.address() as AddressInfo).port
  const api: PatientApi = {
    port: actual,
    baseUrl: `http://127.0.0.1:${actual}/api`,
    requests: [],
    authorizations: [],
    mode: 'ok',
    async close () {
      closing.abort()
      server.closeAllConnections()
      await new Promise(resolve => { server.close(resolve) })
    }
  }
  return api
}
