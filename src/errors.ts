/**
 * The one table of errors. Status, sentence and what a person can do about it stand here and nowhere else: the answers, the OpenAPI
 * document, the pages and the log all read it. The sentences are the original design's.
 */
export const ERRORS = {
  INVALID_ACCESSION_NUMBER: { status: 400, error: 'invalid accession_number', advice: 'Check the accession number in the link.' },
  INVALID_REQUEST: { status: 400, error: 'invalid request', advice: 'Check the link.' },
  UNAUTHORIZED: { status: 401, error: 'unauthorized', advice: 'Send the key in the header X-API-Key.' },
  NOT_FOUND: { status: 404, error: 'not found', advice: 'Check the link.' },
  NO_DICOM_DATA: { status: 404, error: 'no DICOM data for accession_number', advice: 'The PACS holds no study for it. Check the number, or ask radiology whether the images have been sent.' },
  ACCESSION_UNKNOWN: { status: 404, error: 'accession_number not found', advice: 'The HIS does not know this accession number. Check it.' },
  DIFFERENT_PATIENTS: { status: 409, error: 'accession numbers belong to different patients', advice: 'Ask for each patient by itself; if they are one person, have the record corrected in the PACS.' },
  DISC_TOO_SMALL: { status: 413, error: 'the studies need more than one disc', advice: 'Download each disc of the set by its own link.' },
  RANGE_NOT_SATISFIABLE: { status: 416, error: 'range not satisfiable', advice: 'Download the disc from the start.' },
  TOO_MANY_REQUESTS: { status: 429, error: 'too many requests', advice: 'Wait a minute and try again.' },
  ISO_CREATION_FAILED: { status: 500, error: 'ISO creation failed', advice: 'Try again; if it happens again, tell the administrator the request id.' },
  AUDIT_FAILED: { status: 500, error: 'audit record could not be written', advice: 'Tell the administrator: the audit file cannot be written, and no disc may leave without a record.' },
  INTERNAL: { status: 500, error: 'internal error', advice: 'Try again; if it happens again, tell the administrator the request id.' },
  PACS_UNREACHABLE: { status: 502, error: 'PACS unreachable', advice: 'The PACS does not answer. Try again later, or tell the administrator.' },
  PACS_REFUSED: { status: 502, error: 'PACS refused the request', advice: 'Tell the administrator: the PACS needs a setting, which the detail names.' },
  PACS_REFUSED_MOVE: { status: 502, error: 'PACS refused the move', advice: 'Tell the administrator: the PACS needs a setting, which the detail names.' },
  INCOMPLETE_RETRIEVAL: { status: 502, error: 'incomplete retrieval', advice: 'The PACS did not send every image. Try again; if it happens again, tell radiology.' },
  PATIENT_API_UNAVAILABLE: { status: 502, error: 'patient API unavailable', advice: 'The HIS does not answer. Try again later, or tell the administrator.' },
  CD_PUBLISHER_UNREACHABLE: { status: 502, error: 'CD Publisher unreachable', advice: 'Is the CD publisher switched on? Try again, or tell the administrator.' },
  CD_PUBLISHER_REFUSED: { status: 502, error: 'CD Publisher refused images', advice: 'The disc robot did not take every image: do not hand out its disc. Try again, or tell the administrator.' },
  TOO_MANY_CONCURRENT: { status: 503, error: 'too many concurrent requests', advice: 'Wait a minute and try again.' },
  RECEIVER_DOWN: { status: 503, error: 'DICOM receiver not running', advice: 'Try again in a minute, or tell the administrator: the detail names what is wrong.' },
  CANCELLED: { status: 503, error: 'cancelled by the operator', advice: 'Ask the operator, then try again.' },
  SHUTTING_DOWN: { status: 503, error: 'shutting down', advice: 'The service restarts. Try again in a minute.' },
  OVERLOADED: { status: 503, error: 'service under pressure', advice: 'Wait a minute and try again.' },
  PACS_TIMEOUT: { status: 504, error: 'PACS move timed out', advice: 'The PACS is slow or stuck. Try again later, or tell the administrator.' },
  INSUFFICIENT_DISK_SPACE: { status: 507, error: 'insufficient disk space', advice: 'Tell the administrator: the disk for temporary files is full.' }
} as const satisfies Record<string, { status: number, error: string, advice: string }>

export type ErrorCode = keyof typeof ERRORS

/** Further fields of an error's answer. */
export interface ErrorFields {
  /** The CD publisher that could not be reached, `host:port`. */
  destination?: string
  /** Seconds until another try makes sense; becomes the header Retry-After. */
  retryAfterSeconds?: number
  /** Links to the discs of a set, for 413. */
  discs?: string[]
}

/** An error that a client is told about, by its code in {@link ERRORS}. */
export class MkisoError extends Error {
  readonly code: ErrorCode
  readonly statusCode: number
  /** For the client: what happened or what to change; never a secret, never a patient's name. */
  readonly detail: string | undefined
  readonly fields: ErrorFields

  /**
   * @param detail a sentence for the client; the cause goes to the log only
   */
  constructor (code: ErrorCode, detail?: string, options: ErrorFields & { cause?: unknown } = {}) {
    const { cause, ...fields } = options
    super(detail === undefined ? ERRORS[code].error : `${ERRORS[code].error}: ${detail}`, cause === undefined ? {} : { cause })
    this.name = 'MkisoError'
    this.code = code
    this.statusCode = ERRORS[code].status
    this.detail = detail
    this.fields = fields
  }
}
