/**
 * The one table of errors. Status, the words for a program (`error`, the original design's), and for a person a sentence and what to do next
 * stand here and nowhere else: the answers, the OpenAPI document, the pages and the log all read it. The language files translate the last two.
 */
export const ERRORS = {
  INVALID_ACCESSION_NUMBER: { status: 400, error: 'invalid accession_number', sentence: 'The accession number in the link is not valid.', advice: 'Open the link from the hospital system again, or check the number.' },
  TOO_MANY_ACCESSION_NUMBERS: { status: 400, error: 'invalid accession_number', sentence: 'The link names too many accession numbers at once.', advice: 'Ask for fewer at a time; the detail says how many may be asked for.' },
  INVALID_REQUEST: { status: 400, error: 'invalid request', sentence: 'The link is not valid.', advice: 'Check the link.' },
  UNAUTHORIZED: { status: 401, error: 'unauthorized', sentence: 'You may not open this without a valid key or link.', advice: 'Open the link from the hospital system again. A program sends its key in the header X-API-Key.' },
  LINK_EXPIRED: { status: 401, error: 'link expired', sentence: 'This link has expired.', advice: 'Open it anew from the hospital system, or ask whoever gave it to you for a new one.' },
  LINK_USED: { status: 410, error: 'link used', sentence: 'This link was good for one download, which has been made.', advice: 'If you did not download the images yourself, tell whoever gave you the link. Ask for a new one.' },
  DOWNLOAD_CANCELLED: { status: 410, error: 'download cancelled', sentence: 'This download was cancelled.', advice: 'It does not go on by itself. Begin it again from the link.' },
  FORBIDDEN_ORIGIN: { status: 403, error: 'asked by another web site', sentence: 'Another web site has asked for this, which it may not.', advice: 'Open the link from the hospital system. The administrator can allow its address (server.trusted_origins).' },
  NOT_FOUND: { status: 404, error: 'not found', sentence: 'There is no such page.', advice: 'Check the link.' },
  NO_DICOM_DATA: { status: 404, error: 'no DICOM data for accession_number', sentence: 'The picture archive (PACS) has no images for this accession number.', advice: 'Check the number, or ask radiology whether the images have been sent.' },
  NO_SUCH_SERIES: { status: 404, error: 'no such series', sentence: 'The study has no such part.', advice: 'Choose again among what there is, which the detail names, or take the whole study.' },
  ACCESSION_UNKNOWN: { status: 404, error: 'accession_number not found', sentence: 'The hospital system (HIS) does not know this accession number.', advice: 'Check the number in the hospital system.' },
  DIFFERENT_PATIENTS: { status: 409, error: 'accession numbers belong to different patients', sentence: 'These images belong to more than one patient.', advice: 'Where several accession numbers were asked for, ask for each by itself. Else ask radiology whose images these are, and have the record corrected in the PACS.' },
  SET_CHANGED: { status: 409, error: 'the set of discs has changed', sentence: 'The images have changed since the first disc of this set was made.', advice: 'Begin again with the first disc, and do not hand out discs of the old set together with new ones.' },
  PATIENT_MISMATCH: { status: 409, error: 'the HIS and the PACS name different patients', sentence: 'The hospital system (HIS) and the picture archive (PACS) name different patients for this accession number.', advice: 'Do not hand out these images. Ask radiology whose they are, and have the record corrected.' },
  PRINTED_ALREADY: { status: 409, error: 'printed already', sentence: 'These images were sent to the disc robot already.', advice: 'Look for the disc at the robot. If one more is wanted, send them again.' },
  NOT_KEPT: { status: 410, error: 'not kept any more', sentence: 'These images are not kept here any more.', advice: 'Download the disc again: as long as it is kept, its images can be looked at.' },
  PRINT_UNKNOWN: { status: 409, error: 'not known whether it was printed', sentence: 'The disc service stopped while it sent these images: it does not know what the disc robot has.', advice: 'Look at the robot, and do not hand out a disc that is not whole. If there is none, send the images again.' },
  DISC_TOO_SMALL: { status: 413, error: 'the studies need more than one disc', sentence: 'The images do not fit on one disc.', advice: 'Download each disc of the set by its own link.' },
  RANGE_NOT_SATISFIABLE: { status: 416, error: 'range not satisfiable', sentence: 'The download cannot go on where it broke off.', advice: 'Download the disc from the start.' },
  IDEMPOTENCY_KEY_REUSED: { status: 422, error: 'the Idempotency-Key belongs to another print', sentence: 'The program that asked has mixed up two prints.', advice: 'Tell whoever maintains it: each print needs an Idempotency-Key of its own.' },
  TOO_MANY_REQUESTS: { status: 429, error: 'too many requests', sentence: 'There were too many requests from this computer.', advice: 'Wait a minute and try again.' },
  ISO_CREATION_FAILED: { status: 500, error: 'ISO creation failed', sentence: 'The disc could not be made.', advice: 'Try again; if it happens again, tell the administrator the request id.' },
  AUDIT_FAILED: { status: 500, error: 'audit record could not be written', sentence: 'The record of who takes which images could not be written.', advice: 'Tell the administrator: the audit file cannot be written, and no disc may leave without a record.' },
  INTERNAL: { status: 500, error: 'internal error', sentence: 'Something went wrong in the disc service.', advice: 'Try again; if it happens again, tell the administrator the request id.' },
  PACS_UNREACHABLE: { status: 502, error: 'PACS unreachable', sentence: 'The picture archive (PACS) does not answer.', advice: 'Try again in a few minutes, or tell the administrator.' },
  PACS_REFUSED: { status: 502, error: 'PACS refused the request', sentence: 'The picture archive (PACS) refuses to answer.', advice: 'Tell the administrator: the PACS needs a setting, which the detail names.' },
  PACS_REFUSED_MOVE: { status: 502, error: 'PACS refused the move', sentence: 'The picture archive (PACS) refuses to send the images.', advice: 'Tell the administrator: the PACS needs a setting, which the detail names.' },
  INCOMPLETE_RETRIEVAL: { status: 502, error: 'incomplete retrieval', sentence: 'Not all images arrived, so no disc was made.', advice: 'Try again; if it happens again, tell radiology.' },
  PATIENT_API_UNAVAILABLE: { status: 502, error: 'patient API unavailable', sentence: 'The hospital system (HIS) does not answer.', advice: 'Try again in a few minutes, or tell the administrator.' },
  CD_PUBLISHER_UNREACHABLE: { status: 502, error: 'CD Publisher unreachable', sentence: 'The disc robot (CD publisher) does not answer.', advice: 'Is the robot switched on? Try again, or tell the administrator.' },
  CD_PUBLISHER_REFUSED: { status: 502, error: 'CD Publisher refused images', sentence: 'The disc robot (CD publisher) did not take every image.', advice: 'Do not hand out the disc that it makes. Try again, or tell the administrator.' },
  TOO_MANY_CONCURRENT: { status: 503, error: 'too many concurrent requests', sentence: 'Many discs are being made just now.', advice: 'Wait a minute and try again.' },
  RECEIVER_DOWN: { status: 503, error: 'DICOM receiver not running', sentence: 'The service cannot receive images just now.', advice: 'Try again in a minute, or tell the administrator: the detail names what is wrong.' },
  PRINT_UNDER_WAY: { status: 409, error: 'cannot be cancelled any more', sentence: 'This print cannot be cancelled any more.', advice: 'The images are on their way to the disc robot: stop it there.' },
  CANCELLED: { status: 503, error: 'cancelled by the operator', sentence: 'The operator has cancelled this.', advice: 'Ask the operator, then try again.' },
  SHUTTING_DOWN: { status: 503, error: 'shutting down', sentence: 'The disc service is being restarted.', advice: 'Try again in a minute.' },
  OVERLOADED: { status: 503, error: 'service under pressure', sentence: 'The disc service has too much to do just now.', advice: 'Wait a minute and try again.' },
  PACS_TIMEOUT: { status: 504, error: 'PACS move timed out', sentence: 'The picture archive (PACS) took too long.', advice: 'Try again in a few minutes, or tell the administrator.' },
  INSUFFICIENT_DISK_SPACE: { status: 507, error: 'insufficient disk space', sentence: 'The disc service has no room left on its disk.', advice: 'Tell the administrator: the disk for temporary files is full (iso.temp_dir).' }
} as const satisfies Record<string, { status: number, error: string, sentence: string, advice: string }>

export type ErrorCode = keyof typeof ERRORS

/** The words for a person by the keys of the language files: `PACS_UNREACHABLE` and `PACS_UNREACHABLE_advice`. */
export function errorTexts (): Record<string, string> {
  return Object.fromEntries(Object.entries(ERRORS).flatMap(([code, { sentence, advice }]) => [[code, sentence], [`${code}_advice`, advice]]))
}

/** Further fields of an error's answer. */
export interface ErrorFields {
  /** The CD publisher that could not be reached, `host:port`. */
  destination?: string
  /** Seconds until another try makes sense; becomes the header Retry-After. */
  retryAfterSeconds?: number
  /** Links to the discs of a set, for 413. */
  discs?: string[]
  /** What is on each of them, as it goes over the wire. */
  set?: object[]
  /** The print that was there before, as it goes over the wire. */
  job?: object
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

/** True where somebody has ended the work on purpose: nothing is wrong that an administrator could look for. */
export function isEndOnPurpose ({ code }: MkisoError): boolean { return code === 'CANCELLED' }

/** The error with the name of an archive in it, where there are several. */
export function withName (error: MkisoError, name: string | undefined): MkisoError {
  const { code, detail, fields } = error
  if (name === undefined || [`${name}:`, `${name} `].some(beginning => detail?.startsWith(beginning) === true)) return error
  return new MkisoError(code, detail === undefined ? name : `${name}: ${detail}`, { ...fields, cause: error })
}
