// JSON on its way out and in.
import { concat } from './bytes.js'

/** JSON text in which a `bigint` is a number with all its digits; else as `JSON.stringify` has it. */
export function stringify(value: unknown): string {
  return text(value) ?? 'null'
}

function text(value: unknown): string | undefined {
  if (typeof value === 'bigint') return `${value}`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function')
    return text((value as { toJSON(): unknown }).toJSON())
  if (Array.isArray(value)) return `[${value.map((item) => text(item) ?? 'null').join()}]`
  const members = Object.entries(value).map(([name, member]) => [JSON.stringify(name), text(member)])
  return `{${members.filter(([, member]) => member !== undefined).map((pair) => pair.join(':'))}}`
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN = [0x7b, 0x5b]
const CLOSE = [0x7d, 0x5d]

/** What is kept of a reply's member other than `result`, in bytes: an error can hold a whole failed route. */
const MAX_MEMBER = 16 * 1024 * 1024

/**
 * Reads a JSON-RPC reply while it comes, part by part: what belongs to `result` is handed on as it stands, `error` is
 * kept, all else is passed over. It looks at structure alone; a result that is no JSON is found by whoever parses it.
 */
export class Envelope {
  readonly #piece: (bytes: Uint8Array) => void
  #at: 'start' | 'name' | 'colon' | 'value' | 'end' = 'start'
  /** Nesting inside the value that is being read. */
  #depth = 0
  #quoted = false
  #escaped = false
  #name = ''
  #kept: Uint8Array[] = []
  #keptLength = 0
  #error: unknown
  #hasResult = false

  /** `piece` is called with each piece of the result's text. */
  constructor(piece: (bytes: Uint8Array) => void) {
    this.#piece = piece
  }

  /** Reads on. Throws where this is no JSON object. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#at === 'name' || this.#at === 'value') at = this.#text(bytes, at)
      else at = this.#between(bytes, at)
    }
  }

  /** After the last part: the reply's `error`, or `undefined` where it is a result. Throws where it is neither. */
  end(): unknown {
    if (this.#at !== 'end' || (this.#error === undefined && !this.#hasResult)) throw new Error('it ends too early')
    return this.#error
  }

  /** White space and punctuation of the object itself. */
  #between(bytes: Uint8Array, at: number): number {
    const byte = bytes[at]!
    if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) return at + 1
    if (this.#at === 'start' && byte === OPEN[0]) this.#at = 'name'
    else if (this.#at === 'colon' && byte === COLON) this.#at = 'value'
    else throw new Error('it is no JSON object')
    return at + 1
  }

  /** A name or a value, up to the byte at depth 0 that ends it. */
  #text(bytes: Uint8Array, start: number): number {
    let depth = this.#depth
    let quoted = this.#quoted
    let escaped = this.#escaped
    let at = start
    let ended = false
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (quoted) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) quoted = false
      } else if (byte === QUOTE) quoted = true
      else if (byte === OPEN[0] || byte === OPEN[1]) depth++
      else if (depth === 0 && (byte === COMMA || byte === COLON || byte === CLOSE[0] || byte === CLOSE[1])) {
        ended = true
        break
      } else if (byte === CLOSE[0] || byte === CLOSE[1]) depth--
    }
    this.#depth = depth
    this.#quoted = quoted
    this.#escaped = escaped
    this.#keep(bytes.subarray(start, at))
    if (!ended) return at
    this.#end(bytes[at]!)
    // A name's colon is read again, between.
    return this.#at === 'colon' ? at : at + 1
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#at === 'value' && this.#name === 'result') return this.#piece(bytes)
    this.#keptLength += bytes.length
    if (this.#keptLength > MAX_MEMBER) throw new Error('a member beside its result is too long')
    this.#kept.push(bytes)
  }

  #end(by: number): void {
    const kept = new TextDecoder().decode(concat(this.#kept)).trim()
    this.#kept = []
    this.#keptLength = 0
    if (this.#at === 'name' && by === COLON) {
      this.#name = JSON.parse(kept) as string
      this.#at = 'colon'
      return
    }
    if (this.#at === 'value') {
      if (this.#name === 'result') this.#hasResult = true
      // As in JSON-RPC 1.0, `null` is no error.
      else if (this.#name === 'error') this.#error = JSON.parse(kept) ?? undefined
    } else if (kept !== '') throw new Error('a name without a value')
    if (by === COMMA) this.#at = 'name'
    else if (by === CLOSE[0]) this.#at = 'end'
    else throw new Error('it is no JSON object')
  }
}
