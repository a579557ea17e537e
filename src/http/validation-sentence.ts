/** What is wrong with a request, in words for the person whose link it is; the validator's own name a schema and its keywords. */
import { ACCESSION_NUMBER_MAX_LENGTH, ACCESSION_NUMBER_RULE } from '../dicom/accession-number.ts'
import { MkisoError } from '../errors.ts'

/** As ajv reports a fault, and in which part of the request. */
export interface ValidationFault {
  instancePath: string
  keyword: string
  params: Record<string, unknown>
}

const IN = { querystring: 'of the link', headers: '(a header)', params: 'of the address', body: 'of the body' } as const
const ACCESSION_NUMBERS = ['accession_number', 'accession_numbers']

/** @param part of the request: querystring, headers, params, body */
export function validationError ([fault]: readonly ValidationFault[], part: string | undefined, cause: unknown): MkisoError {
  const where = part !== undefined && part in IN ? ` ${IN[part as keyof typeof IN]}` : ''
  const missing = fault?.params['missingProperty']
  const name = typeof missing === 'string' ? missing : fault?.instancePath.split('/').at(-1) ?? ''
  const isAccessionNumber = ACCESSION_NUMBERS.includes(name)
  return new MkisoError(isAccessionNumber ? 'INVALID_ACCESSION_NUMBER' : 'INVALID_REQUEST', sentence(), { cause })

  function sentence (): string {
    if (fault === undefined || name === '') return 'something is not as the interface has it (see /docs)'
    switch (fault.keyword) {
      case 'required': return `${name} is missing`
      case 'minLength': return `${name} is empty`
      case 'maxLength': return isAccessionNumber && Number(fault.params['limit']) === ACCESSION_NUMBER_MAX_LENGTH
        ? `${name} is longer than ${ACCESSION_NUMBER_MAX_LENGTH} characters`
        : `${name}${where} is too long`
      case 'type': return `${name}${where} is there more than once, or is no text`
      case 'pattern':
        if (isAccessionNumber) return ACCESSION_NUMBER_RULE
    }
    return `${name}${where} is not valid (see /docs)`
  }
}
