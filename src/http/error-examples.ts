/** An example of each error's answer, for the OpenAPI document. */
import { ERRORS, type ErrorCode, type ErrorFields } from '../errors.ts'

const SAMPLES: Partial<Record<ErrorCode, { detail?: string } & Pick<ErrorFields, 'destination' | 'discs'>>> = {
  INVALID_REQUEST: { detail: 'disc of the link is not valid (see /docs)' },
  NO_DICOM_DATA: { detail: 'the PACS holds no study for MR.2024.001' },
  ACCESSION_UNKNOWN: { detail: 'the HIS does not know accession number MR.2024.001' },
  DISC_TOO_SMALL: {
    detail: '2 discs are needed (disc.capacity); download each by its link',
    discs: ['/api/iso/download?accession_number=CT.2024.200&disc=1', '/api/iso/download?accession_number=CT.2024.200&disc=2']
  },
  PACS_UNREACHABLE: { detail: 'ABPACS at localhost:11112: connection refused' },
  PACS_REFUSED: { detail: 'ABPACS does not know the AE title CDRECORD: register it at the PACS' },
  PACS_REFUSED_MOVE: { detail: 'ABPACS: it does not know the move destination; register AE title CDRECORD at this machine, port 10104, at the PACS, and check that the port can be reached from there' },
  INCOMPLETE_RETRIEVAL: { detail: '238 of 240 images of accession number MR.2024.001 arrived' },
  CD_PUBLISHER_UNREACHABLE: { detail: 'CDPUBLISHER: connection refused', destination: '172.16.0.120:104' },
  CD_PUBLISHER_REFUSED: { detail: '238 of 240 images were taken: out of resources', destination: '172.16.0.120:104' },
  TOO_MANY_CONCURRENT: { detail: 'no turn at the PACS within 120 s (pacs.max_moves, pacs.max_associations)' },
  PRINTED_ALREADY: { detail: 'sent at 2024-05-06T07:15:12.000Z by ward-7, 240 images (job 3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c11); again=true sends it once more' },
  LINK_EXPIRED: { detail: 'the link was good until 2024-05-06T07:15:12.000Z' },
  NO_SUCH_SERIES: { detail: 'there is no series of modality SR; there are CT 1.2.840.113619.2.5.1, CT 1.2.840.113619.2.5.2' },
  FORBIDDEN_ORIGIN: { detail: 'a page of another web site may not do this; its address can be allowed (server.trusted_origins)' },
  IDEMPOTENCY_KEY_REUSED: { detail: 'the print with this Idempotency-Key has other accession numbers' },
  PACS_TIMEOUT: { detail: 'neither an answer nor an image within 120 s (pacs.idle_timeout)' }
}

export const EXAMPLE_REQUEST_ID = '9f4f0b1e2c7d4a6f8e3b5a7c9d1e0f42'

export function errorExample (code: ErrorCode, more: object = {}): object {
  const { detail, ...fields } = SAMPLES[code] ?? {}
  return { error: ERRORS[code].error, code, ...(detail === undefined ? {} : { detail }), ...fields, ...more, request_id: EXAMPLE_REQUEST_ID }
}
