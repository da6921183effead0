// The wire form of a rune: base64url, an authcode, and restrictions as text.
import { _SHA256 } from '@noble/hashes/sha2.js'
import { concat } from '../bytes.js'

/** Longest encoded rune, in characters. */
const MAX_RUNE = 8192
const MAX_RESTRICTIONS = 256
const MAX_ALTERNATIVES = 256
export const AUTHCODE = 32
/** Longest text of all restrictions, in bytes: what an encoded rune of full length has room for. */
const MAX_TEXT = (MAX_RUNE / 4) * 3 - AUTHCODE
const BLOCK = 64

/** A rune or a restriction that cannot be read, or would go over a bound. The message says what to write instead. */
export class RuneError extends Error {
  override name = 'RuneError'
}

/**
 * How a field is compared with a value: `=` equals, `/` differs, `^` starts with, `$` ends with, `~` contains, `<` and
 * `>` as integers, `{` sorts before and `}` after, `!` is absent, `#` is a note.
 */
export type Condition = '=' | '/' | '^' | '$' | '~' | '<' | '>' | '{' | '}' | '!' | '#'
const CONDITIONS = '= / ^ $ ~ < > { } ! #'

/** One field compared with one value, such as `method=getinfo`. */
export interface Alternative {
  /** The field's name as written. */
  readonly field: string
  readonly condition: Condition
  /** Without escapes. */
  readonly value: string
}

/** Alternatives of which at least one must hold. */
export type Alternatives = readonly Alternative[]

/** The encoded text, with every escape that is needed and no other. */
export function encodeAlternative({ field, condition, value }: Alternative): string {
  return `${field}${condition}${value.replace(/[\\|&]/g, '\\$&')}`
}

export function encodeRestriction(alternatives: Alternatives): string {
  return alternatives.map(encodeAlternative).join('|')
}

/** Reads restrictions joined by `&`. A trailing `&` is accepted; the first field may be empty, as a unique id's is. */
export function parseRestrictions(text: string): Alternatives[] {
  const at = (index: number) => new TextEncoder().encode(text.slice(0, index)).length
  const nul = text.indexOf('\0')
  if (nul >= 0) throw new RuneError(`a NUL character at byte ${at(nul)}: a rune cannot hold one, leave it out`)
  const restrictions: Alternative[][] = []
  let last = true
  for (let index = 0; index < text.length || !last; index++) {
    const field = /^[^!-\/:-@[-^`{-~]*/.exec(text.slice(index))![0]
    const found = text[index + field.length]
    if (found === undefined) {
      throw new RuneError(
        `no condition after the field that starts at byte ${at(index)}: a restriction reads field, condition, value, ` +
          `as in method=getinfo (conditions: ${CONDITIONS})`,
      )
    }
    if (found === ' ' || !CONDITIONS.includes(found)) {
      const shown = found === '\\' || found === "'" ? `\\${found}` : found
      throw new RuneError(`'${shown}' at byte ${at(index + field.length)} is no condition: use one of ${CONDITIONS}`)
    }
    if (field === '' && index > 0) throw noField(at(index))
    let value = ''
    for (index += field.length + 1; index < text.length && text[index] !== '|' && text[index] !== '&'; index++) {
      if (text[index] === '\\' && ++index === text.length) {
        throw new RuneError(`nothing follows the \\ at byte ${at(index - 1)}: write \\\\ for a \\ in a value`)
      }
      value += text[index]
    }
    if (last) restrictions.push([])
    restrictions.at(-1)!.push({ field, condition: found as Condition, value })
    last = text[index] !== '|'
  }
  checkBounds(restrictions)
  return restrictions
}

/** Reads one restriction, which has no unique id. */
export function parseRestriction(text: string): Alternatives {
  const and = /^(?:[^\\&]|\\[^])*?&/.exec(text)
  if (and !== null) {
    const at = new TextEncoder().encode(and[0]).length - 1
    throw new RuneError(
      `the & at byte ${at} ends the restriction: give what follows as a separate restriction, or write \\& for an & in a value`,
    )
  }
  const [restriction] = parseRestrictions(text)
  if (restriction === undefined)
    throw new RuneError('an empty restriction: write field, condition, value, as in method=getinfo')
  if (restriction[0]!.field === '') throw noField(0)
  return restriction
}

function noField(at: number): RuneError {
  return new RuneError(`no field before the condition at byte ${at}: name one, as in method=getinfo`)
}

export function checkBounds(restrictions: readonly Alternatives[]): void {
  const text = restrictions.map(encodeRestriction).join('&')
  if (new TextEncoder().encode(text).length > MAX_TEXT) throw tooLong()
  const own = restrictions[0]?.[0]?.field === '' ? restrictions.slice(1) : restrictions
  if (own.some((alternatives) => alternatives.length > MAX_ALTERNATIVES)) {
    throw new RuneError(`a restriction has at most ${MAX_ALTERNATIVES} alternatives`)
  }
  if (own.length > MAX_RESTRICTIONS) throw new RuneError(`a rune has at most ${MAX_RESTRICTIONS} restrictions`)
}

function tooLong(): RuneError {
  return new RuneError(`a rune is at most ${MAX_RUNE} bytes long`)
}

/** Reads a rune's base64url, padded in full or not at all. */
export function decode(rune: string): { authcode: Uint8Array; restrictions: Alternatives[] } {
  if (rune.length > MAX_RUNE) throw tooLong()
  const bytes = fromBase64Url(rune)
  if (bytes === undefined) throw new RuneError('not base64url')
  if (bytes.length < AUTHCODE) throw new RuneError(`shorter than an authcode of ${AUTHCODE} bytes`)
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(AUTHCODE))
  } catch {
    throw new RuneError('restrictions are not UTF-8')
  }
  let restrictions
  try {
    restrictions = parseRestrictions(text)
  } catch (cause) {
    const { message } = cause as RuneError
    if (message.startsWith('no field')) throw new RuneError(MISPLACED, { cause })
    throw / at most /.test(message) ? cause : new RuneError(`malformed restrictions: ${message}`, { cause })
  }
  const first = restrictions[0]
  if (first?.[0]!.field === '' && (first[0]!.condition !== '=' || first.length > 1)) throw new RuneError(MISPLACED)
  return { authcode: bytes.slice(0, AUTHCODE), restrictions }
}

const MISPLACED = 'a unique id out of its place'

/** Writes a rune's base64url with its padding. */
export function encode(authcode: Uint8Array, restrictions: readonly Alternatives[]): string {
  const text = new TextEncoder().encode(restrictions.map(encodeRestriction).join('&'))
  return toBase64Url(concat([authcode, text]))
}

/**
 * The authcode after one more restriction. It is SHA-256's state where the last restriction and the padding behind it
 * ended, so whoever has it can go on, and none can go back.
 */
export function append(
  authcode: Uint8Array,
  restrictions: readonly Alternatives[],
  restriction: Alternatives,
): Uint8Array {
  const bytes = (alternatives: Alternatives) => new TextEncoder().encode(encodeRestriction(alternatives))
  const hashed = restrictions.reduce((length, one) => length + padded(bytes(one).length), BLOCK)
  return new Chain(authcode, hashed).update(bytes(restriction)).digest()
}

/** Length with SHA-256's padding, a byte and 8 of length, in whole blocks. */
function padded(length: number): number {
  return Math.ceil((length + 9) / BLOCK) * BLOCK
}

/** SHA-256 from the middle. */
class Chain extends _SHA256 {
  constructor(state: Uint8Array, hashed: number) {
    super()
    const view = new DataView(state.buffer, state.byteOffset)
    const word = (index: number) => view.getInt32(4 * index)
    this.set(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
    this.length = hashed
  }
}

function fromBase64Url(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(text) || (text.endsWith('=') && text.length % 4 !== 0)) return undefined
  const bare = text.replace(/=+$/, '')
  try {
    const binary = atob(bare.replace(/-/g, '+').replace(/_/g, '/'))
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0))
    // Bits that belong to no byte must be zero, so that each rune has one spelling.
    return toBase64Url(bytes).replace(/=+$/, '') === bare ? bytes : undefined
  } catch {
    return undefined
  }
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
}
