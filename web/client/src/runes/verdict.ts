// What can be said of one alternative before there is a request: whether it can hold, and in which words somebody who
// owns a node at home would say it.
import type { Alternative, Condition } from './coding.js'
import { MAX, MIN, canonical, count, integer } from './numbers.js'
import { date, duration, number, quoted, relative, shown } from './say.js'

/** What an alternative comes to: it always or never holds, because of this; or sometimes, where a request is so. */
export type Verdict = { always: string } | { never: string } | { sometimes: Clause }

/** What a request must be like: as a sentence without its period, and as one of several. */
export interface Clause {
  alone: string
  among: string
}

/** What a field holds: text that is no number is `text`, a JSON value `any`. */
type Kind = 'number' | 'node id' | 'method' | 'text' | 'any'

/** Judges an alternative at `now`, in UNIX seconds. */
export function judge({ field, condition, value }: Alternative, now: bigint): Verdict {
  if (field === 'rate' || field === 'per') return pace(field, condition, value)
  if (field === 'quota' || field === 'rows') return quota(field, condition, value)
  if (condition === '#' && !field.startsWith('pinv')) return { always: 'a note limits nothing' }
  if (field === 'time') return time(condition, value, now)
  if (field === 'id') return id(condition, value)
  if (field === 'method') return method(condition, value)
  const found = subjectOf(field)
  if (typeof found === 'string') {
    return condition === '!' && !isKnown(field) ? { always: found } : { never: found }
  }
  const [subject, kind] = found
  if (field === 'pnum' && condition === '!') return { never: 'every command has a number of parameters' }
  if (field.startsWith('pinv')) {
    if (condition === '#') return { sometimes: said(subject, 'must be readable', 'is readable') }
    if (condition === '!' && kind === 'node id') return { never: 'every invoice names its payee' }
    if (condition === '!') return { sometimes: said(subject, 'must be left open', 'is left open') }
  }
  if (kind === 'any' && value === '@id' && condition !== '!') {
    if (condition !== '=') return { never: `@id takes only =, as in ${shown(field)}=@id` }
    return { sometimes: said(subject, "must be the caller's own node id", "is the caller's own node id") }
  }
  const why = unmeetable(kind, condition, value)
  if (why !== undefined) return { never: why }
  if (field === 'pnum' && condition === '=' && value === '0') {
    return { sometimes: { alone: 'Only without parameters', among: 'there are no parameters' } }
  }
  return { sometimes: compared(subject, field === 'pnum', condition, value) }
}

/** Whether a field is one that conditions read. */
export function isKnown(field: string): boolean {
  return FIELDS.includes(field) || PREFIXES.some((prefix) => field.startsWith(prefix))
}

const FIELDS = ['time', 'id', 'method', 'pnum', 'rate', 'per', 'quota', 'rows']
const PREFIXES = ['pname', 'parr', 'pinv']

/** What to call a field, and what it holds; or why there is none. */
function subjectOf(field: string): [string, Kind] | string {
  if (field === 'pnum') return ['the number of parameters', 'number']
  if (field.startsWith('pname')) return [`the parameter ${shown(field.slice(5))}`, 'any']
  if (field.startsWith('parr')) {
    const index = canonical(field.slice(4))
    if (index === undefined) return `${quoted(field.slice(4))} is no position, which count from 0`
    return [
      `the parameter at position ${index === 2n ** 64n - 1n ? index : index + 1n} (of those without names)`,
      'any',
    ]
  }
  if (field.startsWith('pinv')) {
    const parts = /^pinv([^]*)_(amount|description|node)$/.exec(field)
    if (parts === null) return 'of an invoice only _amount, _description and _node can be read'
    const of = `of the invoice in the parameter ${shown(parts[1]!)}`
    if (parts[2] === 'amount') return [`the amount in msat ${of}`, 'number']
    if (parts[2] === 'description') return [`the description ${of}`, 'text']
    return [`the payee's node id ${of}`, 'node id']
  }
  return unknown(field)
}

/** The words for a field that no request has. */
function unknown(field: string): string {
  const known = ['time', 'id', 'method', 'pnum', 'pname', 'parr', 'pinv', 'rate', 'per', 'quota', 'rows']
  const guess = field.trim().toLowerCase()
  const meant = known.find((name) => guess === name) ?? PREFIXES.find((prefix) => guess.startsWith(prefix))
  if (meant !== undefined) return `nothing here knows the field ${quoted(field)}: write ${meant}`
  return `nothing here knows the field ${shown(field)}`
}

const UNITS: Record<string, bigint> = {
  '': 10n ** 9n,
  sec: 10n ** 9n,
  nsec: 1n,
  usec: 10n ** 3n,
  msec: 10n ** 6n,
  min: 60n * 10n ** 9n,
  hour: 3_600n * 10n ** 9n,
  day: 86_400n * 10n ** 9n,
}

/** `rate` and `per`: how long a unique id must rest between two uses. */
function pace(field: 'rate' | 'per', condition: Condition, value: string): Verdict {
  const example = field === 'rate' ? 'rate=10' : 'per=1hour'
  if (condition !== '=') return { never: `${field} takes only =, as in ${example}` }
  const parts = count(value)
  if (field === 'rate') {
    if (parts === undefined || parts[1] !== '') return { never: 'a rate is a whole number from 1, as in rate=10' }
    const { text, single } = duration((60n * 10n ** 9n) / parts[0])
    const times = parts[0] === 1n ? 'once' : `${number(parts[0])} times`
    return { sometimes: { alone: `At most ${times} a minute, at least ${text} apart`, among: rested(text, single) } }
  }
  if (parts === undefined) return { never: 'per takes a whole number from 1, as in per=1hour' }
  const unit = Object.hasOwn(UNITS, parts[1]) ? UNITS[parts[1]] : undefined
  if (unit === undefined) return { never: 'per takes nsec, usec, msec, sec, min, hour or day behind its number' }
  if (parts[0] * unit >= 2n ** 64n) return { never: 'per takes no more than about 584 years' }
  const { text, single } = duration(parts[0] * unit)
  return {
    sometimes: { alone: single ? `Once per ${text.slice(2)}` : `Once every ${text}`, among: rested(text, single) },
  }
}

function rested(text: string, single: boolean): string {
  return `at least ${text} ${single ? 'has' : 'have'} passed since the last use`
}

/** Largest bucket of a `quota` or `rows`. */
const MAX_SIZE = 1_000_000_000n

/** `quota` and `rows`: how much may be taken from a bucket that fills again. */
function quota(field: 'quota' | 'rows', condition: Condition, value: string): Verdict {
  const rows = field === 'rows'
  if (condition !== '=') return { never: `${field} takes only =, as in ${rows ? 'rows=1000/day' : 'quota=600/hour'}` }
  const [, digits, unit, peer] = /^([0-9]+)\/(min|hour|day)(\/peer)?$/.exec(value) ?? []
  const size = canonical(digits ?? '')
  if (size === undefined || size < 1n || size > MAX_SIZE || (rows && peer !== undefined)) {
    const example = rows ? 'rows=1000/day' : 'quota=600/hour or quota=60/hour/peer'
    return { never: `${field} takes 1 to ${number(MAX_SIZE)} and min, hour or day, as in ${example}` }
  }
  const what = `${number(size)} ${rows ? 'new record' : 'command'}${size === 1n ? '' : 's'}`
  const each = `${unit === 'hour' ? 'an hour' : unit === 'min' ? 'a minute' : 'a day'}${peer ? ' for each device' : ''}`
  const otherwise = rows ? ', or the command makes none' : ''
  return {
    sometimes: { alone: `At most ${what} ${each}`, among: `of at most ${what} ${each} one is left${otherwise}` },
  }
}

function time(condition: Condition, value: string, now: bigint): Verdict {
  if (condition === '!') return { never: 'there is always a time' }
  const why = unmeetable('number', condition, value)
  if (why !== undefined) return { never: why }
  const at = integer(value) ?? 0n
  const when = `${date(at)} (${relative(at, now)})`
  const clause = (alone: string, among: string) => ({
    sometimes: { alone: `${alone} ${when}`, among: `${among} ${when}` },
  })
  const over = { never: `${date(at)} is over (${relative(at, now)})` }
  if (condition === '<') return at <= now ? over : clause('Until', 'it is before')
  if (condition === '>') return clause('Only after', 'it is after')
  if (condition === '=')
    return at < now ? over : clause('Only in the second that starts at', 'it is the second that starts at')
  if (condition === '/' && canonical(value) !== undefined) {
    return clause('Not in the second that starts at', 'it is not the second that starts at')
  }
  return { sometimes: compared('the time in UNIX seconds', true, condition, value) }
}

function id(condition: Condition, value: string): Verdict {
  const why = unmeetable('node id', condition, value)
  if (why !== undefined) return { never: why }
  const node = shown(value)
  const clause = (alone: string, among: string) => ({ sometimes: { alone, among } })
  if (condition === '=')
    return clause(`Only from the device with node id ${node}`, `the caller is the device with node id ${node}`)
  if (condition === '/')
    return clause(`Not from the device with node id ${node}`, `the caller has another node id than ${node}`)
  if (condition === '!') return clause('Only from callers without a node id', 'the caller has no node id')
  return { sometimes: compared("the caller's node id", false, condition, value) }
}

function method(condition: Condition, value: string): Verdict {
  const why = unmeetable('method', condition, value)
  if (why !== undefined) return { never: why }
  const name = shown(value)
  const clause = (alone: string, among: string) => ({ sometimes: { alone, among } })
  if (condition === '!') return clause('Only where no command is named', 'no command is named')
  if (condition === '=') return clause(`Only the command ${name}`, `the command is ${name}`)
  if (condition === '/') return clause(`Every command but ${name}`, `the command is another than ${name}`)
  return clause(`Only commands that ${plural(condition, value)}`, compared('the command', true, condition, value).among)
}

/** `start with list`, of several. */
export function plural(condition: Condition, value: string): string {
  const text = shown(value)
  switch (condition) {
    case '^':
      return `start with ${text}`
    case '$':
      return `end with ${text}`
    case '~':
      return `contain ${text}`
    case '{':
      return `sort before ${text}, byte by byte`
    case '}':
      return `sort after ${text}, byte by byte`
    default:
      return `are ${text}`
  }
}

/** Why no value of this kind meets a condition. */
function unmeetable(kind: Kind, condition: Condition, value: string): string | undefined {
  const not = (what: string) => `${quoted(value)} is ${what}`
  const bytes = new TextEncoder().encode(value).length
  switch (condition) {
    case '{':
      return value === '' ? 'nothing sorts before nothing' : undefined
    case '<':
    case '>': {
      if (kind === 'node id') return 'a node id is no number'
      if (kind === 'method') return "a command's name is no number"
      if (kind === 'text') return 'a description is no number'
      const bound = integer(value)
      if (bound === undefined) return not('no whole number that can be compared')
      if (bound === MAX && condition === '>') return not('the highest number')
      if (bound === MIN && condition === '<') return not('the lowest number')
      return kind === 'number' && bound <= 0n && condition === '<' ? 'it is never below zero' : undefined
    }
    case '=':
      if (kind === 'number' && canonical(value) === undefined)
        return not('no whole number written without sign, space or leading zero')
      if (kind === 'node id' && !/^[0-9a-f]{66}$/.test(value)) return not(`no node id: ${HEX}`)
      return kind === 'method' && !/^[0-9a-z_-]{1,64}$/.test(value) ? not(`no command's name: ${NAME}`) : undefined
    case '^':
    case '$':
    case '~':
      if (kind === 'number' && (bytes > 20 || !/^[0-9]*$/.test(value))) return not('no part of a number')
      if (kind === 'node id' && (bytes > 66 || !/^[0-9a-f]*$/.test(value))) return not(`no part of a node id: ${HEX}`)
      return kind === 'method' && (bytes > 64 || !/^[0-9a-z_-]*$/.test(value))
        ? not(`no part of a command's name: ${NAME}`)
        : undefined
    default:
      return undefined
  }
}

const HEX = 'they are 66 lower-case hexadecimal digits'
const NAME = 'they are lower-case letters, digits, - and _'

/** A comparison with a value. `alwaysGiven`: no request lacks it. */
function compared(subject: string, alwaysGiven: boolean, condition: Condition, value: string): Clause {
  const text = shown(value)
  const bound = integer(value)
  const whole = bound === undefined ? '' : `${bound < 0n ? '-' : ''}${number(bound < 0n ? -bound : bound)}`
  switch (condition) {
    case '=':
      return said(subject, `must be ${text}`, `is ${text}`)
    case '/':
      if (alwaysGiven) return said(subject, `must not be ${text}`, `is not ${text}`)
      return said(subject, `must be given and must not be ${text}`, `is given and is not ${text}`)
    case '^':
    case '$':
    case '~': {
      if (value === '') return said(subject, 'must be given', 'is given')
      const [must, does] = {
        '^': ['start with', 'starts with'],
        $: ['end with', 'ends with'],
        '~': ['contain', 'contains'],
      }[condition]
      return said(subject, `must ${must} ${text}`, `${does} ${text}`)
    }
    case '<':
      return said(subject, `must be below ${whole}`, `is below ${whole}`)
    case '>':
      return said(subject, `must be above ${whole}`, `is above ${whole}`)
    case '{':
      return said(subject, `must sort before ${text}, byte by byte`, `sorts before ${text}, byte by byte`)
    case '}':
      return said(subject, `must sort after ${text}, byte by byte`, `sorts after ${text}, byte by byte`)
    default:
      return said(subject, 'must not be given', 'is not given')
  }
}

function said(subject: string, must: string, does: string): Clause {
  return { alone: `${subject[0]!.toUpperCase()}${subject.slice(1)} ${must}`, among: `${subject} ${does}` }
}
