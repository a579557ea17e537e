/**
 * What no bytes from outside may do to a parser: it ends, it throws nothing but what it says that it throws, and what it gives does not lie about the
 * bytes. `npm run fuzz` tries them for minutes, `npm test` for a moment (fuzz.test.ts).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { LONGEST_COMMAND_SET_BYTES, readCommandSet, writeEcho, writeQuery } from '../../src/archive/dimse/association/command-set.ts'
import { readIdentifier, writeIdentifier } from '../../src/archive/dimse/association/identifier.ts'
import {
  ProtocolError, readAssociateAccept, readAssociateReject, readAssociateRequest, writeAssociateAccept, writeAssociateReject, writeAssociateRequest, writeData, writeReleaseRequest
} from '../../src/archive/dimse/association/pdu.ts'
import { PduReader } from '../../src/archive/dimse/association/pdu-reader.ts'
import { studyOfPrefix } from '../../src/archive/dimse/association/study-of-prefix.ts'
import { readMultipart } from '../../src/archive/dicomweb/multipart.ts'
import { NotWellFormedError, readAnswers } from '../../src/dcmtk/answers.ts'
import { CutOffError, NotDicomError, readObject, type DicomObject } from '../../src/dicom/part10.ts'
import { buildDicomdir } from '../../src/disc/dicomdir/dicomdir.ts'
import type { DiscContents } from '../../src/disc/contents.ts'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { ctStudy, oddStudies } from '../../demo/phantoms/studies.ts'
import type { Programs } from '../../src/process.ts'

export interface Property {
  name: string
  run: (parameters: fc.Parameters<unknown>) => Promise<fc.RunDetails<unknown>>
}

interface Change { at: number, remove: number, bytes: Uint8Array }

/** What means something somewhere: delimiters, lengths that are too long or none, zeros. */
const MEANING = [
  'feffdde000000000', 'feff0de000000000', 'feff00e0ffffffff', 'ffffffff', 'fffffffe', '7fffffff', '80000000', '00000000', '0000',
  '5351', '554e0000ffffffff', 'e07f10004f570000', '20000d00'
]

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.oneof(fc.constant(0), fc.nat(4), fc.nat(64), fc.nat(2_000)),
  bytes: fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.constantFrom(...MEANING.map(hex => new Uint8Array(Buffer.from(hex, 'hex')))))
})

function changed (original: Buffer, changes: readonly Change[]): Buffer {
  return changes.reduce((bytes, { at, remove, bytes: put }) => {
    const start = Math.floor(at * bytes.length)
    return Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + remove)])
  }, original)
}

/** One of some originals with changes, or noise. */
function mutated (originals: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.tuple(fc.constantFrom(...originals), fc.array(change, { minLength: 1, maxLength: 5 })).map(([original, changes]) => changed(original, changes)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.from(bytes)) }
  )
}

/** Sizes of the pieces in which bytes come, over and over. */
function piecesUpTo (max: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: 1, max }), { minLength: 1, maxLength: 20 })
}

function onlyThrows (work: () => void, ...errors: ReadonlyArray<new (...args: never[]) => Error>): void {
  try { work() } catch (error) { if (!errors.some(one => error instanceof one)) throw error }
}

const CT = '1.2.840.10008.5.1.4.1.1.2'
const DEFLATED = '1.2.840.10008.1.2.1.99'
const SYNTAXES = ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2', DEFLATED]
const titles = { callingAeTitle: 'SENDER', calledAeTitle: 'CDRECORD' }
const IMPLICIT = '1.2.840.10008.1.2'
const contexts = [
  { id: 1, abstractSyntax: CT, transferSyntaxes: [IMPLICIT, '1.2.840.10008.1.2.1'] },
  { id: 3, abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: [IMPLICIT] }
]
const roles = [{ sopClassUid: CT, scu: true, scp: false }]

function associationPdus (): Buffer[] {
  const request = { ...titles, contexts, roles, maxPduBytes: 16_384 }
  return [
    writeAssociateRequest({ ...titles, contexts, roles }),
    writeAssociateAccept(request, { contexts: contexts.map(({ id }) => ({ id, result: 0, transferSyntax: '1.2.840.10008.1.2' })), roles }),
    writeAssociateReject({ result: 1, source: 1, reason: 7 }), writeReleaseRequest()
  ]
}

const identifier = writeIdentifier(new Map([[0x00080052, 'IMAGE'], [0x0020000D, '1.2.3'], [0x00080018, '1.2.3.4\\1.2.3.5']]))
const commands = [writeEcho('1.2.840.10008.1.1', 7), writeQuery(0x0010, '1.2.840.10008.5.1.4.1.2.2.3', 9)]

export function associationProperties (): Property[] {
  const pdus = associationPdus()
  const messages = [...commands.flatMap(command => writeData(1, true, command, 64)), ...writeData(1, false, identifier, 32)]
  const conversation = Buffer.concat([pdus[0] ?? Buffer.alloc(0), ...messages, writeReleaseRequest()])
  return [{
    name: 'PDU reader: what comes out is what went in, however it was cut into pieces; nothing but ProtocolError',
    run: async parameters => await fc.check(fc.asyncProperty(mutated([conversation, ...pdus]), piecesUpTo(300), async (bytes, pieces) => {
      const read = (sizes: readonly number[]): { out: string, bytes: number, failed: boolean } => {
        const told: string[] = []
        let outBytes = 0
        // consecutive pieces of one fragment are one
        let open = ''
        const reader = new PduReader({
          pdu: (type, body) => { told.push(`${open}${type}:${body.toString('hex')}`); open = ''; outBytes += body.length },
          fragment: (contextId, isCommand, piece, isLast) => {
            open += piece.toString('hex')
            outBytes += piece.length
            if (isLast) { told.push(`${contextId}${String(isCommand)}${open}`); open = '' }
          }
        })
        let failed = false
        onlyThrows(() => {
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const size = sizes[turn % sizes.length] ?? 1
            try {
              reader.push(bytes.subarray(at, at + size))
            } catch (error) {
              failed = true
              throw error
            }
            at += size
          }
        }, ProtocolError)
        return { out: told.join('|'), bytes: outBytes, failed }
      }
      const whole = read([bytes.length + 1])
      if (whole.bytes > bytes.length) throw new Error('more came out than went in')
      const cut = read(pieces)
      if (cut.failed !== whole.failed || cut.out !== whole.out) throw new Error('it depends on the pieces')
    }), parameters)
  }, {
    name: 'association PDUs',
    run: async parameters => await fc.check(fc.property(mutated(pdus.map(pdu => pdu.subarray(6))), body => {
      onlyThrows(() => {
        const request = readAssociateRequest(body)
        if ('contexts' in request && request.contexts.length > 128) throw new Error('more contexts than there can be')
        // what was read can be answered
        if ('contexts' in request) writeAssociateAccept(request, { contexts: [], roles: [] })
      }, ProtocolError)
      onlyThrows(() => { readAssociateAccept(body) }, ProtocolError)
      onlyThrows(() => { readAssociateReject(body) }, ProtocolError)
    }), parameters)
  }, {
    name: 'command sets and identifiers',
    run: async parameters => await fc.check(fc.property(mutated([...commands, identifier]), bytes => {
      onlyThrows(() => {
        const { errorComment, sopInstanceUid } = readCommandSet(bytes.subarray(0, LONGEST_COMMAND_SET_BYTES))
        if (/[^\x20-\x7e]/.test(errorComment) || sopInstanceUid.length > bytes.length) throw new Error('what cannot be printed')
      }, ProtocolError)
      onlyThrows(() => {
        const total = [...readIdentifier(bytes).values()].reduce((sum, { length }) => sum + length, 0)
        if (total > bytes.length) throw new Error('longer than its bytes')
      }, ProtocolError)
    }), parameters)
  }]
}

function multipartBody (): Buffer {
  const part = (headers: string, body: Buffer): Buffer => Buffer.concat([Buffer.from(`\r\n--b\r\n${headers}\r\n`), body])
  return Buffer.concat([
    part('Content-Type: application/dicom; transfer-syntax=*\r\nContent-Length: 40\r\n', Buffer.alloc(40, 0x2D)), part('Content-Type: application/dicom\r\n', Buffer.from('\r\n--c\r\n--bb'.repeat(9))),
    part('', Buffer.from('x')), part('Content-Type: text/plain\r\nContent-Length: 7\r\n', Buffer.from('short')), Buffer.from('\r\n--b--\r\n')
  ])
}

/** Each part as it came, and how it ended; the end of all of it. */
async function multipartOf (bytes: Buffer, pieces: readonly number[]): Promise<{ told: string[], end: string, outBytes: number }> {
  const told: string[] = []
  let outBytes = 0
  const chunks: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = pieces[turn % pieces.length] ?? 1
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  const { kind } = await readMultipart(Readable.from(chunks), {
    boundary: 'b',
    ready: async () => {},
    receive: (type, flow) => {
      const index = told.push('') - 1
      let body = `${type}:`
      const over = (how: string): void => {
        if (told[index] !== '') throw new Error('a part that ends twice')
        told[index] = `${body}:${how}`
      }
      return {
        data: piece => {
          if (told[index] !== '') throw new Error('bytes after the end of a part')
          outBytes += piece.length
          body += piece.toString('hex')
          flow.pause()
          setImmediate(() => { flow.resume() })
        },
        end: lengthFault => { over(lengthFault === undefined ? 'whole' : 'another length') },
        cut: () => { over('cut') }
      }
    }
  })
  return { told, end: kind, outBytes }
}

export function multipartProperties (): Property[] {
  return [{
    name: 'multipart/related: every part ends once; what comes out is what went in, however it was cut into pieces; nothing is closed that is not',
    run: async parameters => await fc.check(fc.asyncProperty(mutated([multipartBody()]), piecesUpTo(100), async (bytes, pieces) => {
      const whole = await multipartOf(bytes, [bytes.length + 1])
      const cut = await multipartOf(bytes, pieces)
      for (const one of [whole, cut]) {
        if (one.told.includes('')) throw new Error('a part that never ends')
        if (one.outBytes > bytes.length) throw new Error('more came out than went in')
        if (one.end === 'closed' && !bytes.includes('\r\n--b--') && !bytes.subarray(0, 5).equals(Buffer.from('--b--'))) throw new Error('closed without a closing delimiter')
      }
      if (whole.end !== cut.end) throw new Error(`${whole.end} in one piece, ${cut.end} in many`)
      if (whole.end === 'closed' && JSON.stringify(whole.told) !== JSON.stringify(cut.told)) throw new Error(`${JSON.stringify(whole.told)} in one piece, ${JSON.stringify(cut.told)} in many`)
    }), parameters)
  }]
}

export async function fileProperties (folder: string, programs: Programs): Promise<Property[]> {
  const kinds = ['SR', 'GSPS', 'KO', 'ECG', 'CT-jpeg', 'XA-multiframe-jpeg']
  const small = { count: 1, rows: 32, columns: 32 }
  const odd = oddStudies().map(one => ({ ...one, series: one.series.filter(({ kind }) => kinds.includes(kind)).map(series => ({ ...series, ...small })) }))
  const instances = (await Promise.all([ctStudy('FUZZ', 1, undefined, 16), ...odd].map(async one => await writeStudy(one, folder, programs)))).flat()
  const originals = instances.map(({ path }) => readFileSync(path))
  const dataSets = originals.map(bytes => bytes.subarray(132 + 12 + bytes.readUInt32LE(140)))
  const path = join(folder, 'changed')
  const read = async (bytes: Buffer): Promise<DicomObject | undefined> => {
    writeFileSync(path, bytes)
    try {
      return await readObject(path)
    } catch (error) {
      if (error instanceof CutOffError || error instanceof NotDicomError) return undefined
      throw error
    }
  }
  return [{
    name: 'Part 10: an object does not lie about its file; DICOMDIR: it lists it, or says why not, and can be read',
    run: async parameters => await fc.check(fc.asyncProperty(mutated(originals), async bytes => {
      const object = await read(bytes)
      if (object === undefined) return
      const { pixelData, sizeBytes } = object
      if (sizeBytes !== bytes.length) throw new Error('another size')
      if (pixelData !== undefined && (pixelData.offset < 0 || pixelData.lengthBytes < 0 || pixelData.offset + pixelData.lengthBytes > sizeBytes)) throw new Error('pixels outside of the file')
      const { notListed, bytes: dicomdir } = buildDicomdir(contentsOf(object), 'FUZZ')
      if (notListed.length > 1) throw new Error('listed twice')
      // everything of a record comes from the file
      if (dicomdir.length > 2 * bytes.length + 8_192) throw new Error(`a DICOMDIR of ${dicomdir.length} bytes`)
      const again = await read(dicomdir)
      if (again === undefined || again.remarks.length > 0) throw new Error(`a DICOMDIR that cannot be read: ${again?.remarks.join('; ') ?? 'not at all'}`)
    }), parameters)
  }, {
    name: 'the study of an object of which the beginning has come: more bytes never make it another one',
    run: async parameters => await fc.check(fc.property(mutated(dataSets), fc.constantFrom(...SYNTAXES), fc.double({ min: 0, max: 1, noNaN: true }),
      (bytes, transferSyntax, share) => {
        const part = studyOfPrefix(bytes.subarray(0, Math.floor(share * bytes.length)), transferSyntax)
        const whole = studyOfPrefix(bytes, transferSyntax)
        if (part.kind === 'more' || transferSyntax === DEFLATED) return
        if (JSON.stringify(part) !== JSON.stringify(whole)) throw new Error(`${JSON.stringify(part)} became ${JSON.stringify(whole)}`)
      }), parameters)
  }, {
    name: 'answers of findscu',
    run: async parameters => await fc.check(fc.asyncProperty(mutated([answersXml(3), answersXml(0)]), async bytes => {
      writeFileSync(path, bytes)
      try {
        const { kept, total, unwanted } = await readAnswers(path, new Set(['0008,0050', '0020,000d']), answer => answer.get('0008,0050') === 'A')
        if (kept.length + unwanted > total) throw new Error('more than there are')
      } catch (error) {
        if (!(error instanceof NotWellFormedError)) throw error
      }
    }), parameters)
  }]
}

function contentsOf (object: DicomObject): DiscContents {
  const { patient, studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid, sizeBytes, transferSyntaxUid } = object
  const study = {
    studyInstanceUid, accessionNumber: 'A', patient, studyDate: '', studyTime: '', studyDescription: '', studyId: '', seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole' as const, series: []
  }
  const series = { seriesInstanceUid, modality: '', seriesNumber: undefined, seriesDescription: '', instanceCount: undefined, listing: 'none' as const, instances: [] }
  const file = { instance: { sopInstanceUid, sopClassUid, instanceNumber: undefined }, object, sourcePath: '', sizeBytes, transferSyntaxUid, fileId: 'DICOM/PT000001/ST000001/SE000001/IM000001' }
  return { patients: [{ patient, studies: [{ study, series: [{ series, files: [file] }] }] }], disc: 1, discs: 1 }
}

function answersXml (count: number): Buffer {
  const element = (tag: string, value: string): string => `<element tag="${tag}" vr="UI" vm="1" len="4">${value}</element>\n`
  const answers = Array.from({ length: count }, (_, index) => `<data-set xfer="1.2.840.10008.1.2" name="x">\n${element('0008,0050', 'A')}${element('0020,000d', `1.2.${index}`)}${element('0010,0010', 'D\xF6e^J&amp;')}
<sequence tag="0008,1110" vr="SQ" card="1" len="1"><item card="1" len="1">${element('0020,000d', '9')}</item></sequence></data-set>`)
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n<responses type="C-FIND">\n${answers.join('\n')}</responses>\n`, 'latin1')
}
