/** The demo's own page: a hospital system with links, buttons that break something, and what stands on the other sides. It is no part of the service. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Eta } from 'eta'
import pLimit from 'p-limit'
import { personName } from '../src/dicom/person-name.ts'
import { faultsOf } from './faults.ts'
import type { PhantomStudy } from './phantoms/catalogue.ts'
import type { Site } from './site.ts'

const FOLDER = join(import.meta.dirname, 'front')
const eta = new Eta({ views: FOLDER, autoEscape: true, cache: true })
const HEADERS = { 'cache-control': 'no-store', 'content-security-policy': "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'" }
/** A number of two patients is no sample. */
const NO_SAMPLE = /^DUP/
/** Of one patient; the others stand below a click. */
const SHOWN_STUDIES = 4
/** Of what the HIS was asked, on its page. */
const SHOWN_REQUESTS = 50

export interface Front {
  readonly url: string
  close (): Promise<void>
}

export async function startFront (site: Site, port: number): Promise<Front> {
  const faults = faultsOf(site)
  // two clicks at once would stop what the other starts
  const oneAtATime = pLimit(1)
  let message = ''

  const act = async (name: string, form: URLSearchParams): Promise<void> => {
    const fault = faults.find(one => one.name === name)
    if (fault === undefined) return
    const isBreaking = form.get('do') === 'break'
    try {
      await oneAtATime(async () => { await (isBreaking ? fault.breakIt() : fault.mendIt()) })
      message = isBreaking ? `${fault.title}. Try it, then mend it.` : `${fault.title}: that is mended. Try it again.`
    } catch (error) {
      message = `That did not work: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  const page = async (path: string): Promise<[string, object] | undefined> => {
    switch (path) {
      case '/': return ['./home', { message: taken(), shown: SHOWN_STUDIES, patients: patientsOf(site.studies), faults, archives: site.archives }]
      case '/his': return ['./his', { baseUrl: site.api.baseUrl, broken: site.api.mode !== 'ok', requests: site.api.requests.slice(-SHOWN_REQUESTS).reverse() }]
      case '/robot': return ['./robot', { isOn: site.robot.isOn, folder: site.robot.folder, discs: await discsAt(site) }]
      default: return undefined
    }
  }

  const taken = (): string => {
    const text = message
    message = ''
    return text
  }

  /** What is looked at must be here: the disc is made first, and thrown away. */
  const look = async (accessionNumber: string): Promise<string> => {
    const number = encodeURIComponent(accessionNumber)
    const answer = await fetch(`${site.url}/api/iso/download?accession_number=${number}`).catch(() => undefined)
    if (answer?.ok !== true || answer.body === null) return `${site.url}/download?accession_number=${number}`
    await answer.body.pipeTo(new WritableStream())
    return `${site.url}/look?accession_number=${number}`
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const to = (location: string): void => { response.writeHead(303, { ...HEADERS, location }).end() }
    if (request.method === 'POST') {
      const name = /^\/faults\/([a-z]+)$/.exec(pathname)?.[1] ?? ''
      // a page of somebody else in the same browser must not switch anything off
      if (request.headers.origin !== `http://${request.headers.host ?? ''}`) { response.writeHead(403, HEADERS).end('from another page\n'); return }
      await act(name, new URLSearchParams(await textOf(request)))
      to(`/#${name}`)
    } else if (pathname === '/look') {
      to(await look(searchParams.get('accession_number') ?? ''))
    } else if (pathname === '/front.css') {
      response.writeHead(200, { ...HEADERS, 'content-type': 'text/css; charset=utf-8' }).end(readFileSync(join(FOLDER, 'front.css')))
    } else {
      const shown = await page(pathname)
      if (shown === undefined) { response.writeHead(404, HEADERS).end('there is no such page\n'); return }
      const [name, data] = shown
      response.writeHead(200, { ...HEADERS, 'content-type': 'text/html; charset=utf-8' }).end(eta.render(name, { ...data, service: site.url }))
    }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, HEADERS)
      response.end(`${error instanceof Error ? error.message : String(error)}\n`)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close () {
      server.closeAllConnections()
      await new Promise(resolve => { server.close(resolve) })
    }
  }
}

/** Far more than a form of ours. */
const MOST_OF_A_FORM = 1_000

async function textOf (request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk)
    if (text.length > MOST_OF_A_FORM) throw new Error('the form is too long')
  }
  return text
}

/** Node 20 has no Map.groupBy. */
function grouped<T> (items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) groups.set(keyOf(item), [...groups.get(keyOf(item)) ?? [], item])
  return groups
}

const dateOf = (dicom: string): string => dicom.replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3')

function patientsOf (studies: readonly PhantomStudy[]): object[] {
  const byId = grouped(studies.filter(({ accessionNumber }) => !NO_SAMPLE.test(accessionNumber)), ({ patient }) => patient.patientId)
  return [...byId].flatMap(([id, own]) => {
    const [first] = own
    if (first === undefined) return []
    return [{
      id,
      name: personName(first.patient.patientName),
      birthDate: dateOf(first.patient.birthDate),
      studies: bySource(own).map(({ accessionNumber, studyDescription, studyDate }) =>
        ({ accessionNumber, description: studyDescription, date: dateOf(studyDate), note: noteOf(accessionNumber) })),
      all: own.length > 1 ? own.map(({ accessionNumber }) => accessionNumber).join(',') : undefined
    }]
  })
}

/** Those of another archive first: what is special must not stand below the click. */
function bySource (studies: readonly PhantomStudy[]): PhantomStudy[] {
  return [...studies].sort((a, b) => Number(noteOf(a.accessionNumber) === '') - Number(noteOf(b.accessionNumber) === ''))
}

function noteOf (accessionNumber: string): string {
  if (accessionNumber.startsWith('OLD')) return 'only the old archive has it'
  return accessionNumber.startsWith('WEB') ? 'over DICOMweb, from another site' : ''
}

/** What the robot has of each study. */
async function discsAt ({ robot, instances }: Site): Promise<object[]> {
  const received = new Set(await robot.received())
  const byNumber = grouped(instances, ({ accessionNumber }) => accessionNumber)
  const discs = [...byNumber].map(([accessionNumber, own]) => ({ accessionNumber, has: own.filter(({ sopInstanceUid }) => received.has(sopInstanceUid)).length, of: own.length }))
  return discs.filter(({ has }) => has > 0)
}
