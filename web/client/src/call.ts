// One call: its request on the way out, its reply on the way in, and the one end it comes to.
import { Aborted, Invalid, LostNotSent, LostOutcomeUnknown, RunewardError, TimedOut, errorOf } from './errors.js'
import { Envelope, stringify } from './json.js'

/** Longest request, in bytes of JSON. */
const MAX_REQUEST = 1_048_576
/** Longest part of one. */
const MAX_PART = 65_000
/** Longer than a node tries to pay, in milliseconds. */
const TIMEOUT = 120_000
/** Timers hold no more milliseconds than this. */
const MAX_TIMER = 2 ** 31 - 1

/** How to make one call. */
export interface CallOptions {
  /** The rune to call with, in place of the connection's: one connection serves any number of them. */
  rune?: string | undefined
  /** Which members of the result to send, in the shape `lightning-cli --filter` takes: `{ id: true }`. */
  filter?: object | undefined
  /**
   * Milliseconds without any part of the reply after which the call fails with {@link TimedOut}: from the call to the
   * first part, and from each to the next. 120,000 unless given; `Infinity` for calls that wait, as `waitanyinvoice`.
   */
  timeout?: number | undefined
  /** Ends the call with {@link Aborted}. A command that was sent goes on at the node: commando cannot take it back. */
  signal?: AbortSignal | undefined
}

/** Where the result goes. */
export interface Sink {
  piece(bytes: Uint8Array): void
  end(): void
  fail(error: RunewardError): void
}

/** What a call asks of the client it belongs to. */
export interface Caller {
  /** No part can come: a slow reader holds the connection back. */
  held(): boolean
  /** The call has ended, whichever way. */
  ended(call: Call): void
}

export class Call {
  readonly #caller: Caller
  readonly #request: Uint8Array
  readonly #sink: Sink
  readonly #envelope: Envelope
  readonly #timeout: number
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => this.fail(new Aborted('the call was aborted', this.sent, { cause: this.#signal?.reason }))
  #timer: ReturnType<typeof setTimeout> | undefined
  #heard = Date.now()
  #offset = 0
  #over = false
  /** Its id on the present connection, where its sending has begun. */
  id: number | undefined

  /** Throws {@link Invalid} and {@link Aborted}, and then nothing has begun. */
  constructor(caller: Caller, sink: Sink, request: object, { timeout = TIMEOUT, signal }: CallOptions) {
    try {
      this.#request = new TextEncoder().encode(stringify(request))
    } catch (cause) {
      throw new Invalid(`the request is no JSON: ${(cause as Error).message}`, { cause })
    }
    if (this.#request.length > MAX_REQUEST) {
      throw new Invalid(`the request is ${this.#request.length} bytes long, and a node takes at most ${MAX_REQUEST}`)
    }
    this.#caller = caller
    this.#sink = sink
    this.#envelope = new Envelope((bytes) => sink.piece(bytes))
    this.#timeout = timeout
    this.#signal = signal
    if (signal?.aborted) this.#throwAborted()
    signal?.addEventListener('abort', this.#onAbort)
    this.#watch(timeout)
  }

  /** The request has gone out to its last byte, so the command may run. A part of a request never does. */
  get sent(): boolean {
    return this.#offset === this.#request.length
  }

  /** Its sending has begun and has not ended. */
  get begun(): boolean {
    return this.#offset > 0 && !this.sent
  }

  /** The next part to be sent. */
  next(): { part: Uint8Array; last: boolean } {
    const part = this.#request.subarray(this.#offset, this.#offset + MAX_PART)
    this.#offset += part.length
    return { part, last: this.sent }
  }

  /** Starts the time limit anew: the other side could not be heard, or was. */
  heard(): void {
    this.#heard = Date.now()
  }

  /** Takes a part of the reply. */
  part(bytes: Uint8Array, last: boolean): void {
    this.heard()
    try {
      this.#envelope.push(bytes)
      if (!last) return
      const error = this.#envelope.end()
      if (error !== undefined) return this.fail(errorOf(error))
    } catch (cause) {
      if (cause instanceof RunewardError) return this.fail(cause)
      return this.fail(new LostOutcomeUnknown(`the reply is none: ${(cause as Error).message}`, true, { cause }))
    }
    if (this.#finish()) this.#sink.end()
  }

  fail(error: RunewardError): void {
    if (this.#finish()) this.#sink.fail(error)
  }

  /** The connection is gone; what was not sent is sent again from its start if there is another. */
  lost(why: string, another: boolean): void {
    if (this.sent)
      return this.fail(new LostOutcomeUnknown(`the connection was lost before the answer was whole: ${why}`, true))
    if (!another) return this.fail(new LostNotSent(`there is no connection: ${why}`, false))
    this.#offset = 0
    this.id = undefined
  }

  /** Ends it without a word: nobody listens any more. */
  drop(): void {
    this.#finish()
  }

  #finish(): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#caller.ended(this)
    return true
  }

  #throwAborted(): never {
    throw new Aborted('the call was aborted', false, { cause: this.#signal?.reason })
  }

  #watch(milliseconds: number): void {
    if (milliseconds === Infinity) return
    this.#timer = setTimeout(
      () => {
        if (this.#caller.held()) this.heard()
        const left = this.#heard + this.#timeout - Date.now()
        if (left > 0) return this.#watch(left)
        const what = this.sent ? 'no answer came' : 'there was no connection to send it on'
        this.fail(new TimedOut(`${what} within ${this.#timeout} ms`, this.sent))
      },
      Math.min(milliseconds, MAX_TIMER),
    )
  }
}
