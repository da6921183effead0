// Runes explained to who owns the node, and what their author should not let pass.
import { encodeAlternative, encodeRestriction, type Alternative, type Alternatives, type Condition } from './coding.js'
import { integer } from './numbers.js'
import { quoted, shown } from './say.js'
import { isKnown, judge, plural } from './verdict.js'

/** In the words of the node's `showrunes`: `method equal to getinfo OR method starts with list`. */
export function english(alternatives: Alternatives): string {
  return alternatives.map(englishOne).join(' OR ')
}

const WORDS: Partial<Record<Condition, string>> = {
  '=': 'equal to',
  '/': 'unequal to',
  '^': 'starts with',
  $: 'ends with',
  '~': 'contains',
  '{': 'sorts before',
  '}': 'sorts after',
}

function englishOne({ field, condition, value }: Alternative): string {
  if (condition === '!') return `${field} is missing`
  if (condition === '#') return `comment: ${field} ${value}`
  return `${field} ${WORDS[condition] ?? condition} ${value}`
}

/** Sentences that together say all that the restrictions do; those on which command may run come as one. */
export function explain(restrictions: readonly Alternatives[], now: bigint): string[] {
  const exceptions = restrictions
    .map(exception)
    .filter((name) => name !== undefined)
    .join(', ')
  let told = exceptions === ''
  // A list of commands takes the exceptions along; without one they stand for themselves.
  const hasList = restrictions.some((restriction) => commands(restriction, now) !== undefined)
  const sentences: string[] = []
  for (const restriction of restrictions) {
    if (exception(restriction) !== undefined) {
      if (!told && !hasList) {
        sentences.push(`Every command but ${exceptions}.`)
        told = true
      }
      continue
    }
    const list = commands(restriction, now)
    if (list === undefined) sentences.push(explainOne(restriction, now))
    else if (told) sentences.push(`${list}.`)
    else {
      told = true
      sentences.push(`${list}, but not ${exceptions}.`)
    }
  }
  if (sentences.length === 0) sentences.push('No limits: it can do everything the node can.')
  if (restrictions.every((restriction) => impossibleOne(restriction, now) === undefined)) {
    const why = impossible(restrictions, now)
    if (why !== undefined) sentences.push(`As it is, it allows nothing: ${why}.`)
  }
  return sentences
}

/** What one restriction asks for, in one sentence. */
export function explainOne(alternatives: Alternatives, now: bigint): string {
  if (alternatives.length === 1) {
    const only = alternatives[0]!
    const verdict = judge(only, now)
    if ('sometimes' in verdict) return `${verdict.sometimes.alone}.`
    if ('never' in verdict) return `Allows nothing: ${verdict.never} (${quoted(encodeAlternative(only))}).`
    return only.condition === '#'
      ? `${note(only)}.`
      : `Limits nothing: ${verdict.always} (${quoted(encodeAlternative(only))}).`
  }
  const list = commands(alternatives, now)
  if (list !== undefined) return `${list}.`
  let limits = true
  let allows = false
  const clauses = alternatives.map((alternative) => {
    const verdict = judge(alternative, now)
    const text = quoted(encodeAlternative(alternative))
    if ('never' in verdict) return `${text} (which never holds: ${verdict.never})`
    if ('always' in verdict) {
      limits = false
      return `${text} (which always holds: ${verdict.always})`
    }
    allows = true
    return verdict.sometimes.among
  })
  const start = !limits
    ? 'Limits nothing, as one of these is enough'
    : allows
      ? 'Only where at least one of these holds'
      : 'Allows nothing, as one of these would have to hold'
  return `${start}: ${clauses.join('; or ')}.`
}

/** Why no request can ever meet all restrictions, if that is so and simple to see. */
export function impossible(restrictions: readonly Alternatives[], now: bigint): string | undefined {
  for (const restriction of restrictions) {
    const why = impossibleOne(restriction, now)
    if (why !== undefined) return why
  }
  return contradiction(restrictions, 'method') ?? contradiction(restrictions, 'id') ?? noTimeLeft(restrictions)
}

/** Why no request can ever meet one restriction, at `now` or later. */
export function impossibleOne(alternatives: Alternatives, now: bigint): string | undefined {
  const reasons: string[] = []
  for (const alternative of alternatives) {
    const verdict = judge(alternative, now)
    if (!('never' in verdict)) return undefined
    reasons.push(`${quoted(encodeAlternative(alternative))} can never hold: ${verdict.never}`)
  }
  return reasons.join('; ')
}

/** What its author can hardly have meant. */
export function odd(alternatives: Alternatives, now: bigint): string | undefined {
  for (const alternative of alternatives) {
    const verdict = judge(alternative, now)
    const text = quoted(encodeAlternative(alternative))
    if ('never' in verdict) return `${text} can never hold: ${verdict.never}`
    if (!('always' in verdict)) continue
    if (alternatives.length > 1) return `${text} always holds, so that the others limit nothing: ${verdict.always}`
    if (alternative.condition !== '#') return `${text} always holds: ${verdict.always}`
  }
  return undefined
}

function note({ field, value }: Alternative): string {
  // A field's name can be any word: only what nobody reads is part of the note.
  if (isKnown(field)) return `A note on ${field}, which limits nothing: ${quoted(value)}`
  return `A note, which limits nothing: ${quoted(`${field} ${value}`)}`
}

/** The command that a restriction excepts, where that is all it does: `method/stop`. */
function exception([first, second]: Alternatives): string | undefined {
  const excepts = second === undefined && first!.field === 'method' && first!.condition === '/'
  return excepts ? shown(first!.value) : undefined
}

/** A restriction that lists commands, without its period: `Only these commands: getinfo, pay`. */
function commands(alternatives: Alternatives, now: bigint): string | undefined {
  const names: string[] = []
  const shapes: string[] = []
  for (const alternative of alternatives) {
    const { field, condition, value } = alternative
    if (field !== 'method' || !('sometimes' in judge(alternative, now))) return undefined
    if (condition === '=') names.push(shown(value))
    else if (condition === '^' || condition === '$' || condition === '~') shapes.push(plural(condition, value))
    else return undefined
  }
  const those = shapes.join(', or ')
  if (names.length === 0) return `Only commands that ${those}`
  if (names.length === 1 && those === '') return `Only the command ${names[0]}`
  return `Only these commands: ${names.join(', ')}${those && `, and those that ${those}`}`
}

/** Restrictions on `field` that no value meets together, where one of them lists the values. */
function contradiction(restrictions: readonly Alternatives[], field: string): string | undefined {
  const pure = restrictions.filter((alternatives) => alternatives.every((one) => one.field === field))
  const list = pure.find((alternatives) => alternatives.every((one) => one.condition === '='))
  if (list === undefined) return undefined
  const possible = list.some(({ value }) => pure.every((alternatives) => alternatives.some((one) => meets(value, one))))
  if (possible) return undefined
  return `${pure.map((alternatives) => quoted(encodeRestriction(alternatives))).join(' and ')} shut each other out`
}

/** Whether a text that is given meets a condition. */
function meets(text: string, { condition, value }: Alternative): boolean {
  switch (condition) {
    case '=':
      return text === value
    case '/':
      return text !== value
    case '^':
      return text.startsWith(value)
    case '$':
      return text.endsWith(value)
    case '~':
      return text.includes(value)
    case '{':
      return byBytes(text, value) < 0
    case '}':
      return byBytes(text, value) > 0
    case '#':
      return true
    default:
      return false
  }
}

/** The order of two texts' UTF-8, in which code points stand in order. */
function byBytes(one: string, other: string): number {
  const [left, right] = [Array.from(one), Array.from(other)]
  for (let at = 0; at < left.length && at < right.length; at++) {
    const order = left[at]!.codePointAt(0)! - right[at]!.codePointAt(0)!
    if (order !== 0) return order
  }
  return left.length - right.length
}

/** A start that lies behind the end. */
function noTimeLeft(restrictions: readonly Alternatives[]): string | undefined {
  const bounds = (condition: Condition) =>
    restrictions.flatMap(([first, second]) => {
      const bound =
        first!.field === 'time' && first!.condition === condition && second === undefined
          ? integer(first!.value)
          : undefined
      return bound === undefined ? [] : [bound]
    })
  const after = bounds('>').reduce<bigint | undefined>(
    (most, bound) => (most === undefined || bound > most ? bound : most),
    undefined,
  )
  const before = bounds('<').reduce<bigint | undefined>(
    (least, bound) => (least === undefined || bound < least ? bound : least),
    undefined,
  )
  if (after === undefined || before === undefined || after + 1n < before) return undefined
  return `no time is after ${after} and before ${before}`
}
