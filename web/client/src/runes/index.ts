/**
 * Runes read, explained and narrowed, without a connection and without a secret: what the gateway's `rune show` and
 * `rune restrict` do, in the same words.
 *
 * @module
 */
import {
  append,
  checkBounds,
  decode,
  encode,
  encodeRestriction,
  parseRestriction,
  type Alternative,
  type Alternatives,
} from './coding.js'
import { english, explain, explainOne, impossible, impossibleOne, odd } from './explain.js'

export { RuneError, type Alternative, type Condition } from './coding.js'

/** Alternatives of which at least one must hold, such as `method=getinfo|method^list`. */
export class Restriction {
  readonly alternatives: readonly Alternative[]

  private constructor(alternatives: Alternatives) {
    this.alternatives = alternatives
  }

  /**
   * Reads one restriction. In values `\`, `|` and `&` are written `\\`, `\|` and `\&`.
   *
   * @throws {RuneError} says what is wrong, at which byte, and what to write instead
   *
   * @example
   * ```js
   * import { Restriction } from '@runeward/client/runes'
   *
   * Restriction.parse('method=getinfo|method^list').explain()
   * // → Only these commands: getinfo, and those that start with list.
   * ```
   */
  static parse(text: string): Restriction {
    return new Restriction(parseRestriction(text))
  }

  /** @internal */
  static of(alternatives: Alternatives): Restriction {
    return new Restriction(alternatives)
  }

  /** What it asks for, in one sentence. `now`: in UNIX seconds. */
  explain(now: number = clock()): string {
    return explainOne(this.alternatives, BigInt(now))
  }

  /** In the words of the node's `showrunes`: `method equal to getinfo OR method starts with list`. */
  english(): string {
    return english(this.alternatives)
  }

  /** Why no request can ever meet it, at `now` (UNIX seconds) or later; `undefined` where one can. */
  impossible(now: number = clock()): string | undefined {
    return impossibleOne(this.alternatives, BigInt(now))
  }

  /** What its author can hardly have meant: an alternative that never holds, or always, or a field nobody knows. */
  odd(now: number = clock()): string | undefined {
    return odd(this.alternatives, BigInt(now))
  }

  /** The encoded text. */
  toString(): string {
    return encodeRestriction(this.alternatives)
  }
}

/**
 * A bearer token: whoever has it may do what its restrictions allow. It is never changed; {@link Rune.narrow} gives
 * another. Whether a node made it, only that node can say.
 */
export class Rune {
  readonly #authcode: Uint8Array
  readonly #all: readonly Alternatives[]
  /** In their order, without the unique id. */
  readonly restrictions: readonly Restriction[]

  private constructor(authcode: Uint8Array, all: readonly Alternatives[]) {
    this.#authcode = authcode
    this.#all = all
    const own = all[0]?.[0]!.field === '' ? all.slice(1) : all
    this.restrictions = own.map((alternatives) => Restriction.of(alternatives))
  }

  /**
   * Reads a rune's base64url, padded in full or not at all.
   *
   * @throws {RuneError} where it is none, or over a bound: 8192 bytes, 256 restrictions, 256 alternatives in one
   *
   * @example
   * ```js
   * import { Rune } from '@runeward/client/runes'
   *
   * const rune = Rune.decode(text)
   * console.log(rune.uniqueId, rune.explain().join(' '))
   * const forAFriend = rune.narrow('method=getinfo', `time<${Math.floor(Date.now() / 1000) + 3600}`).encode()
   * ```
   */
  static decode(text: string): Rune {
    const { authcode, restrictions } = decode(text)
    return new Rune(authcode, restrictions)
  }

  /** The unique id as written, by which the node's owner revokes it; `undefined` where it has none. */
  get uniqueId(): string | undefined {
    return this.#unique()?.[0]
  }

  /** What stands behind the unique id's first `-`, if anything. */
  get version(): string | undefined {
    return this.#unique()?.[1]
  }

  /** The same rune with more restrictions, each as text or read before. Nobody can take them off again. */
  narrow(...restrictions: readonly (Restriction | string)[]): Rune {
    let authcode = this.#authcode
    const all = [...this.#all]
    for (const restriction of restrictions) {
      const { alternatives } = typeof restriction === 'string' ? Restriction.parse(restriction) : restriction
      authcode = append(authcode, all, alternatives)
      all.push(alternatives)
    }
    checkBounds(all)
    return new Rune(authcode, all)
  }

  /** Its base64url with padding: the token itself, to be kept like money. */
  encode(): string {
    return encode(this.#authcode, this.#all)
  }

  /** What it allows at `now` (UNIX seconds), in sentences for the owner of a node. */
  explain(now: number = clock()): string[] {
    return explain(
      this.restrictions.map(({ alternatives }) => alternatives),
      BigInt(now),
    )
  }

  /** All restrictions in the words of the node's `showrunes`, joined by ` AND `. */
  english(): string {
    return this.restrictions.map((restriction) => restriction.english()).join(' AND ')
  }

  /** Why it allows nothing at `now` (UNIX seconds) or later, where that is simple to see. */
  impossible(now: number = clock()): string | undefined {
    return impossible(
      this.restrictions.map(({ alternatives }) => alternatives),
      BigInt(now),
    )
  }

  #unique(): [string, string?] | undefined {
    const first = this.#all[0]?.[0]
    if (first?.field !== '') return undefined
    const [id, ...version] = first.value.split('-')
    return version.length === 0 ? [id!] : [id!, version.join('-')]
  }
}

function clock(): number {
  return Math.floor(Date.now() / 1000)
}
