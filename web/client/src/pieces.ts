import type { Sink } from './call.js'
import { LostOutcomeUnknown, type RunewardError } from './errors.js'

/** With this many bytes waiting for the reader the connection is held back, where the platform can. */
const HIGH_WATER = 1024 * 1024
/** With this few it goes on. */
const LOW_WATER = HIGH_WATER / 4
/** With more than this many, which takes a WebSocket that cannot be held back, the reply is given up. */
const MAX_WAITING = 64 * 1024 * 1024

/** The pieces of a reply, between the connection that brings them and the reader that takes them. */
export class Pieces implements Sink {
  readonly #hold: (held: boolean) => void
  readonly #pieces: Uint8Array[] = []
  #bytes = 0
  #end: { error?: RunewardError } | undefined
  #wake = () => {}

  /** `hold` is told whether the connection should be held back. */
  constructor(hold: (held: boolean) => void) {
    this.#hold = hold
  }

  piece(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    if (this.#bytes > MAX_WAITING) {
      throw new LostOutcomeUnknown(`the reader fell ${MAX_WAITING / 1024 / 1024} MiB behind the reply`, true)
    }
    this.#pieces.push(bytes)
    if (this.#bytes > HIGH_WATER) this.#hold(true)
    this.#wake()
  }

  end(): void {
    this.#finish({})
  }

  fail(error: RunewardError): void {
    this.#finish({ error })
  }

  /** The next piece, in its order; `undefined` after the last. Then, or instead, the error. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#end?.error !== undefined) throw this.#end.error
      if (this.#end !== undefined) return undefined
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    const piece = this.#pieces.shift()!
    this.#bytes -= piece.length
    if (this.#bytes < LOW_WATER) this.#hold(false)
    return piece
  }

  #finish(end: { error?: RunewardError }): void {
    this.#end = end
    this.#hold(false)
    this.#wake()
  }
}
