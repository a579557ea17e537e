/** A HIS for demo and tests: `GET /patient/by-accession`, every way in which it can fail, and every way in which people write such a thing. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { nameFromDicom } from '../src/disc/file-name.ts'

/** An answer in another form that says the same. */
const FORMS = ['gzip', 'gzip-unsaid', 'deflate', 'deflate-raw', 'bom', 'utf-16', 'latin-1', 'padded', 'numbers', 'redirect'] as const
/** No answer of use. */
const FAULTS = [
  'error', 'hang', 'nonsense', 'another-patient', 'html-404', 'server-404', 'too-long', 'bomb', 'redirect-elsewhere', 'redirect-circle', 'denied', 'nameless', 'list'
] as const

export const PATIENT_API_FORMS: ReadonlyArray<typeof FORMS[number]> = FORMS
export const PATIENT_API_FAULTS: ReadonlyArray<typeof FAULTS[number]> = FAULTS

export type PatientApiMode = 'ok' | 'slow' | typeof FORMS[number] | typeof FAULTS[number]

/** A patient of the HIS; a text is a name without a number. */
export type HisPatient = string | { name: string, medrecId: string | number | null }

/** The patients of studies, as a HIS has them that agrees with the PACS. */
export function hisPatientsOf (studies: ReadonlyArray<{ accessionNumber: string, patient: { patientId: string, patientName: string } }>): Map<string, HisPatient> {
  return new Map(studies.map(({ accessionNumber, patient }) => [accessionNumber, { name: nameFromDicom(patient.patientName), medrecId: patient.patientId }]))
}

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

/** @param patients by accession number */
export async function startPatientApi (patients: ReadonlyMap<string, HisPatient>, port = 0, host = '127.0.0.1'): Promise<PatientApi> {
  const closing = new AbortController()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const accessionNumber = url.searchParams.get('accession_number') ?? ''
    const answer = (status: number, body: object): void => { send(response, api.mode, status, JSON.stringify(body)) }
    const moved = url.pathname.startsWith('/moved/')
    if (!moved && url.pathname !== '/api/patient/by-accession') { answer(404, { error: 'no such path' }); return }
    api.requests.push(accessionNumber)
    api.authorizations.push(request.headers.authorization)
    const patient = patients.get(accessionNumber)
    const reply = (): void => {
      if (patient === undefined) { answer(404, { error: 'accession_number not found' }); return }
      const { name, medrecId } = typeof patient === 'string' ? { name: patient, medrecId: null } : patient
      answer(200, api.mode === 'padded'
        ? { accession_number: `${accessionNumber}   `, medrec_id: `${medrecId ?? ''}`.padEnd(20), reg_id: null, patient_name: name.padEnd(60), modality: '  ', study_description: null }
        : { accession_number: accessionNumber, medrec_id: medrecId, reg_id: api.mode === 'numbers' ? 123 : 'REG-2024-00123', patient_name: name, modality: 'CT', study_description: '' })
    }
    const redirect = (location: string): void => { response.writeHead(302, { location }).end() }
    switch (api.mode) {
      case 'slow': delay(300, undefined, { signal: closing.signal }).then(reply, () => {}); break
      case 'error': answer(500, { error: 'database down' }); break
      case 'nonsense': response.writeHead(200, { 'content-type': 'text/html' }).end('<html>login</html>'); break
      case 'another-patient': answer(200, { accession_number: 'OTHER', patient_name: 'SOMEBODY ELSE' }); break
      case 'html-404': response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>'); break
      case 'server-404': answer(404, { timestamp: '2026-01-01T00:00:00Z', status: 404, error: 'Not Found', path: url.pathname }); break
      case 'too-long': answer(200, { accession_number: accessionNumber, patient_name: 'A'.repeat(100_000) }); break
      case 'bomb': response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000_000, ' '))); break
      case 'denied': answer(403, { error: 'who are you' }); break
      case 'nameless': answer(200, { accession_number: accessionNumber, patient_name: null }); break
      case 'list': answer(200, []); break
      case 'redirect': if (moved) reply(); else redirect(`/moved/patient?accession_number=${encodeURIComponent(accessionNumber)}`); break
      case 'redirect-circle': redirect(request.url ?? '/'); break
      // the same computer by another name: the token must not go there
      case 'redirect-elsewhere': if (moved) reply(); else redirect(`http://localhost:${api.port}/moved/patient?accession_number=${encodeURIComponent(accessionNumber)}`); break
      case 'hang': break
      default: reply()
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

function send (response: ServerResponse, mode: PatientApiMode, status: number, text: string): void {
  const bytes = Buffer.from(text)
  const [headers, body] = ((): [Record<string, string>, Buffer] => {
    switch (mode) {
      case 'gzip': return [{ 'content-encoding': 'gzip' }, gzipSync(bytes)]
      case 'gzip-unsaid': return [{}, gzipSync(bytes)]
      case 'deflate': return [{ 'content-encoding': 'deflate' }, deflateSync(bytes)]
      case 'deflate-raw': return [{ 'content-encoding': 'deflate' }, deflateRawSync(bytes)]
      case 'bom': return [{}, Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes])]
      case 'utf-16': return [{}, Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')])]
      case 'latin-1': return [{ 'content-type': 'application/json; charset=ISO-8859-1' }, Buffer.from(text, 'latin1')]
      default: return [{}, bytes]
    }
  })()
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}
