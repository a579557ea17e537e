/** The pages of the service. Their scripts and styles are files of their own (strict CSP); the words for the scripts stand in the page. */
import { Eta } from 'eta'
import type { Language } from '../../language/language.ts'
import { ERRORS, errorTexts, type ErrorCode, type MkisoError } from '../../errors.ts'
import { PRODUCT } from '../../product.ts'
import { withQuery } from '../links.ts'

const eta = new Eta({ views: import.meta.dirname, autoEscape: true, cache: true })

const PHASE_WORDS = ['phase_finding', 'phase_queued', 'phase_receiving', 'phase_making', 'phase_ready', 'phase_streaming', 'phase_sending', 'phase_done']
const PROGRESS_WORDS = [...PHASE_WORDS, 'archive_silent', 'connecting', 'connection_lost', 'images_of', 'images_count', 'count_of', 'sent_of', 'megabytes', 'megabytes_of', 'megabytes_per_second', 'seconds_left',
  'minutes_left', 'place', 'stuck', 'stuck_here', 'busy_goes_on', 'cancelled', 'disc_of', 'no_date', 'no_name', 'study', 'screen_error', 'request_id']

/** Keys of the language file that the script of a page needs. */
const SCRIPT_WORDS = {
  download: [...PROGRESS_WORDS, 'download_ready_text', 'saved', 'saved_text', 'saved_text_phone', 'saved_file', 'set_disc', 'set_series', 'set_taken', 'part_of_study', 'saved_text_zip', 'saved_text_protected', 'download_again', 'download_now', 'download_stopped', 'cancelled_text', 'start_again', 'try_again', 'set_title', 'set_text',
    'choose_none', 'choose_all', 'choose_many', 'choose_images', 'series', 'phone_link', 'phone_until'],
  print: [...PROGRESS_WORDS, 'printed', 'printed_text', 'print_failed', 'print_cancelled', 'print_not', 'print_not_text', 'print_ask', 'born', 'patient_id', 'name_from_his', 'choose_images', 'print_lost', 'print_stay', 'try_again', 'phase_turn', 'phase_robot', 'print_question', 'print_again_question', 'print_now', 'print_again',
    'print_before', 'print_before_unknown'],
  printed: [],
  desk: [...PROGRESS_WORDS, 'print_question', 'print_again_question', 'print_now', 'print_again', 'print_before', 'print_before_unknown', 'phase_turn', 'phase_robot', 'kind_download', 'kind_print', 'kind_look', 'cancel',
    'no_results', 'choose_images', 'desk_take', 'desk_blocked_no_accession_number', 'desk_blocked_several_patients', 'desk_too_many', 'desk_one_person', 'desk_searching', 'desk_none', 'desk_found', 'desk_cut',
    'desk_again_in', 'desk_asked', 'desk_for', 'desk_again', 'desk_outcome_success', 'desk_outcome_failed', 'desk_outcome_aborted', 'desk_outcome_offered', 'desk_outcome_unknown', 'desk_outcome_begun', 'desk_memory', 'desk_history_cut'],
  status: [...PROGRESS_WORDS, 'from_archives', 'key_wrong', 'nothing_runs', 'no_results', 'kind_download', 'kind_print', 'started', 'took', 'cancel', 'outcome_success', 'outcome_failed', 'outcome_set', 'search_none', 'test_running', 'test_done', 'test_now', 'finding_ok', 'finding_warning', 'finding_unknown', 'finding_down', 'snippet_nginx', 'snippet_nginx_key', 'snippet_link_php',
    'snippet_link_shell', 'snippet_pacs', 'outcome_cancelled_client',
    'outcome_cancelled_operator', 'names_hidden', 'moves_waiting', 'disk_free_of', 'status_ok', 'status_warning', 'status_down', 'check_pacs', 'check_receiver', 'check_tools', 'check_disk',
    'check_patient_api', 'check_cd_publisher', 'check_port_pool', 'check_viewer', 'check_prints', 'unknown_print', 'looked'],
  error: [],
  busy: ['busy_goes_on', 'seconds_left', 'minutes_left']
}

/** A wait, and no end. */
const BUSY: ReadonlySet<ErrorCode> = new Set(['TOO_MANY_CONCURRENT', 'OVERLOADED'])
const RETRY_SECONDS = 30

export type ScreenName = keyof typeof SCRIPT_WORDS

export interface ScreenContext {
  language: Language
  /** Name of the institution, or empty. */
  institution: string
  /** Path and query of the page, for the link to the other language. */
  url: string
}

/** Where another try makes sense; what else went wrong stays wrong. */
const isRetried = ({ status }: { status: number }): boolean => status === 429 || status >= 500
const RETRY_CODES = Object.entries(ERRORS).filter(([, error]) => isRetried(error)).map(([code]) => code).join(' ')

/** @returns HTML */
export function renderScreen (name: ScreenName, { language, institution, url }: ScreenContext, data: object = {}): string {
  const keys = SCRIPT_WORDS[name]
  const words = keys.length === 0 ? '' : JSON.stringify(Object.fromEntries([...keys, ...Object.keys(errorTexts())].map(key => [key, language.say(key)])))
  return eta.render(`./${name}`, { ...data, name, language, say: language.say, institution, words, product: PRODUCT, retryCodes: RETRY_CODES, otherUrl: inLanguage(url, language.say('other_language_code')) })
}

/** The page of an error: what happened, what to do next, the request id. @param retryUrl where another try begins; undefined when it makes no sense */
export function errorScreen (context: ScreenContext, error: MkisoError, requestId: string, retryUrl: string | undefined): string {
  // what only fetches goes on by itself; a print never does
  if (retryUrl !== undefined && BUSY.has(error.code) && !retryUrl.startsWith('/api/iso/print')) {
    return renderScreen('busy', context, { code: error.code, detail: error.detail, seconds: error.fields.retryAfterSeconds ?? RETRY_SECONDS, requestId, retryUrl })
  }
  return renderScreen('error', context, {
    code: error.code,
    detail: error.detail,
    discs: error.fields.discs ?? [],
    destination: error.fields.destination,
    requestId,
    retryUrl: isRetried(ERRORS[error.code]) ? retryUrl : undefined,
    // the same question, of the page that has the disc made
    downloadUrl: error.code === 'NOT_KEPT' && retryUrl?.includes('accession_number=') === true ? withQuery('/download', retryUrl) : undefined
  })
}

function inLanguage (url: string, code: string): string {
  const link = new URL(url, 'http://localhost')
  link.searchParams.set('lang', code)
  return link.pathname + link.search
}
