/**
 * A pattern for whole accession numbers, as an administrator writes it. Numbers come from whoever asks, and a regular expression that goes back and
 * forth could be made to run for hours: so a pattern may hold no groups, and few parts of variable length.
 */

/** Of variable length, in one alternative: with three of them and numbers of at most 64 characters a match takes some ten thousand steps at most. */
const MOST_VARIABLE = 3
const MOST_CHARACTERS = 200
const ADVICE = 'use letters, digits, classes such as [0-9], counts such as {6} or {4,8}, and | between alternatives, without groups'

/** A character, an escaped one, or a class. */
const ATOM = /\\[dw.\-\\/+*?|()[\]{}^$]|\[\^?(?:\\[dw.\-\\\]^]|[^\\[\]])+\]|[^\\()[\]{}*+?|^$]/y
const QUANTIFIER = /[*+?]|\{\d{1,2}(?:,\d{0,2})?\}/y

/** @returns the expression, for the whole number; a text says what is wrong with the pattern */
export function accessionPattern (text: string): RegExp | string {
  if (text.length > MOST_CHARACTERS) return `is longer than ${MOST_CHARACTERS} characters`
  let atoms = 0
  let variable = 0
  const token = (expression: RegExp, at: number): string => {
    expression.lastIndex = at
    return expression.exec(text)?.[0] ?? ''
  }
  for (let at = 0; at < text.length;) {
    if (text[at] === '|' && atoms > 0) {
      atoms = variable = 0
      at++
      continue
    }
    const atom = token(ATOM, at)
    if (atom === '') return `is no pattern that can be checked safely, at ${JSON.stringify(text.slice(at))}: ${ADVICE}`
    const quantifier = token(QUANTIFIER, at + atom.length)
    at += atom.length + quantifier.length
    atoms++
    if (/^[*+?]$|,/.test(quantifier) && ++variable > MOST_VARIABLE) return `has more than ${MOST_VARIABLE} parts of variable length (*, +, ?, {4,8}): ${ADVICE}`
  }
  if (atoms === 0) return `ends with nothing after its last |: ${ADVICE}`
  try {
    return new RegExp(`^(?:${text})$`)
  } catch (error) {
    return `is no regular expression: ${error instanceof Error ? error.message : String(error)}`
  }
}
