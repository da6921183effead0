// The client: calls that outlive connections, and connections that come back.
import { concat, toHex } from './bytes.js'
import { Call, type CallOptions, type Caller, type Sink } from './call.js'
import { Aborted, Invalid, LostOutcomeUnknown, NoConnection } from './errors.js'
import { Link } from './link.js'
import { generateKey, isKey, publicKey } from './noise.js'
import { Pieces } from './pieces.js'
import { parseUri, type Address } from './uri.js'

const REQUEST_MORE = 0x4c4d
const REQUEST_LAST = 0x4c4f

/** Milliseconds before the first try to reconnect; each later one takes twice as long, up to the most. */
const FIRST_DELAY = 500
const MAX_DELAY = 30_000
/** A connection that held so long, in milliseconds, starts the count of tries anew. */
const HELD = 10_000

/** How to connect. */
export interface ConnectOptions {
  /**
   * Our secret key, 32 bytes: the other side knows us by it, and runes can be bound to it. Without one a key is made
   * for this client alone. See {@link KeyStore} for one that stays.
   */
  key?: Uint8Array | undefined
  /** The rune to call with, in place of the connection string's. */
  rune?: string | undefined
  /** Closes the client, connected or not. */
  signal?: AbortSignal | undefined
  /**
   * Whether to come back after a lost connection: at first within half a second, then after twice as long each time up
   * to 30 s (of which a random part of up to a half is taken off), and for as long as it takes. `true` unless given.
   */
  reconnect?: boolean | undefined
}

/** What a client is doing. */
export type Status =
  | { readonly state: 'connecting' }
  | { readonly state: 'connected' }
  /** Between two tries. `retryAt`: when the next one is, in milliseconds since 1970. */
  | { readonly state: 'waiting'; readonly error: NoConnection; readonly retryAt: number }
  /** For good. Without an error it was closed from this side. */
  | { readonly state: 'closed'; readonly error?: NoConnection }

/**
 * Connects to a node or a gateway, and gives the client once both sides have shaken hands.
 *
 * @param uri a connection string: `commando+ws://HOST:PORT?pubkey=ID&rune=RUNE`, `commando+wss://…`,
 *   `lnlink:ID@HOST:PORT?token=RUNE` or `ID@HOST:PORT`. The last two mean TCP, and in a browser WebSocket.
 * @throws {NoConnection} where the first try fails: unreachable, not that node, or no answer within 15 s. To keep trying
 *   from the start, make a {@link Client} yourself.
 * @throws {Invalid} where the connection string or the key is malformed
 * @throws {Aborted} where `signal` was aborted first
 *
 * @example
 * ```js
 * import { connect } from '@runeward/client'
 *
 * const client = await connect(uri)
 * const { alias } = await client.call('getinfo')
 * console.log(alias)
 * client.close()
 * ```
 */
export async function connect(uri: string, options: ConnectOptions = {}): Promise<Client> {
  const client = new Client(uri, options)
  await new Promise<void>((resolve, reject) => {
    const look = () => {
      const { status } = client
      if (status.state === 'connecting') return
      client.removeEventListener('status', look)
      if (status.state === 'connected') return resolve()
      client.close()
      const { signal } = options
      reject(signal?.aborted ? new Aborted('connecting was aborted', false, { cause: signal.reason }) : status.error)
    }
    client.addEventListener('status', look)
    look()
  })
  return client
}

/**
 * A node at the other end of a connection that comes back when it is lost.
 *
 * Its constructor takes what {@link connect} does, starts to connect and returns at once; calls wait until there is a
 * connection. Whenever {@link Client.status} changes it fires an event named `status`.
 *
 * A call that was not sent when the connection went is sent on the next one. One that was sent fails with
 * {@link LostOutcomeUnknown}: it is never repeated by itself, and a half reply is never continued.
 *
 * @example
 * ```js
 * import { Client } from '@runeward/client'
 *
 * const client = new Client(uri)
 * client.addEventListener('status', () => console.log(client.status.state))
 * await client.call('getinfo')
 * client.close()
 * ```
 */
export class Client extends EventTarget {
  readonly #address: Address
  readonly #key: Uint8Array
  readonly #rune: string | undefined
  readonly #reconnect: boolean
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => this.close()
  #status: Status = { state: 'connecting' }
  #link: Link | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Tries that failed, or did not hold, since one held. */
  #failures = 0
  #since = 0
  /** Calls that are not sent, in their order; of the first a part may be. */
  #waiting: Call[] = []
  /** Calls whose answer is awaited, by the lower half of their ids. */
  readonly #sent = new Map<number, Call>()
  /** The upper half of all ids on one connection: answers to others are none of ours. */
  #prefix = 0
  #lastId = 0
  #calls = 0
  /** Replies whose readers are behind. */
  readonly #holding = new Set<Pieces>()
  readonly #caller: Caller = {
    held: () => this.#link?.paused ?? false,
    ended: (call) => this.#forget(call),
  }

  /** Throws {@link Invalid} where the connection string or the key is malformed. */
  constructor(uri: string, { key, rune, signal, reconnect = true }: ConnectOptions = {}) {
    super()
    this.#address = parseUri(uri)
    if (key !== undefined && !isKey(key))
      throw new Invalid('the key is no secret key: 32 bytes below the order of secp256k1')
    this.#key = key?.slice() ?? generateKey()
    this.#rune = rune ?? this.#address.rune
    this.#reconnect = reconnect
    this.#signal = signal
    if (signal?.aborted) this.#status = { state: 'closed' }
    else this.#dial()
    signal?.addEventListener('abort', this.#onAbort)
  }

  /** What it is doing now. An event `status` tells of each change. */
  get status(): Status {
    return this.#status
  }

  /** Our own node id, as 66 hexadecimal digits: what a rune's restriction `id` is compared with. */
  get nodeId(): string {
    return toHex(publicKey(this.#key))
  }

  /**
   * Runs a command, its parameters by name (an object) or by position (an array), and gives its result.
   *
   * The result is parsed as `JSON.parse` does, so that integers beyond 2^53 lose their last digits; with `text: true` it
   * is given as the JSON text it is. In `params` a `bigint` is written with all its digits.
   *
   * @throws {RefusedByRune | RefusedByNode | RefusedByLimit} what the other side answered in place of a result
   * @throws {LostNotSent | LostOutcomeUnknown | TimedOut | Aborted} where there is no answer
   * @throws {Invalid} where the request is over 1 MiB or no JSON
   *
   * @example
   * ```js
   * const { bolt11 } = await client.call('invoice', { amount_msat: 1000n, label: `tea ${Date.now()}`, description: 'tea' })
   * const { id } = await client.call('getinfo', {}, { filter: { id: true }, timeout: 5000 })
   * const exact = await client.call('listfunds', {}, { text: true }) // a string of JSON
   * ```
   */
  call(method: string, params: object | undefined, options: CallOptions & { text: true }): Promise<string>
  call<Result = any>(method: string, params?: object, options?: CallOptions & { text?: false }): Promise<Result>
  async call(
    method: string,
    params?: object,
    { text = false, ...options }: CallOptions & { text?: boolean } = {},
  ): Promise<unknown> {
    const pieces: Uint8Array[] = []
    await new Promise<void>((end, fail) => {
      this.#start(method, params, options, { piece: (bytes) => pieces.push(bytes), end, fail })
    })
    try {
      const result = new TextDecoder().decode(concat(pieces))
      return text ? result : JSON.parse(result)
    } catch (cause) {
      throw new LostOutcomeUnknown(`the result is no JSON: ${(cause as Error).message}`, true, { cause })
    }
  }

  /**
   * Runs a command and gives the JSON text of its result in pieces, as they come: for results that need not be whole in
   * memory. Nothing is sent before the first piece is asked for; leaving the loop ends the call.
   *
   * About 1 MiB waits for a slow reader. Then Node.js holds the whole connection back, the other calls on it included:
   * give a slow reader a client of its own. A browser cannot hold a WebSocket back; there up to 64 MiB wait, and a reader
   * that falls further behind gets a {@link LostOutcomeUnknown}.
   *
   * @throws as {@link Client.call} does, after the pieces that came before
   *
   * @example
   * ```js
   * let length = 0
   * for await (const piece of client.stream('listchannels')) length += piece.length
   * console.log(`${length} characters`)
   * ```
   */
  async *stream(method: string, params?: object, options: CallOptions = {}): AsyncGenerator<string, void, undefined> {
    const pieces = new Pieces((held) => this.#hold(pieces, held))
    const call = this.#start(method, params, options, pieces)
    const decoder = new TextDecoder()
    try {
      for (let piece; (piece = await pieces.next()) !== undefined;) {
        const text = decoder.decode(piece, { stream: true })
        if (text !== '') yield text
      }
    } finally {
      call.drop()
      this.#hold(pieces, false)
    }
  }

  /** Closes the connection for good. Calls that have no answer yet fail. */
  close(): void {
    this.#finish('the client was closed')
  }

  #start(method: string, params: object | undefined, options: CallOptions, sink: Sink): Call {
    const rune = options.rune ?? this.#rune
    const request = {
      jsonrpc: '2.0',
      id: `${method}#${++this.#calls}`,
      method,
      params: params ?? {},
      rune,
      filter: options.filter,
    }
    const call = new Call(this.#caller, sink, request, options)
    this.#waiting.push(call)
    if (this.#status.state === 'closed') call.lost(this.#status.error?.message ?? 'the client was closed', false)
    else this.#pump()
    return call
  }

  #dial(): void {
    this.#prefix = crypto.getRandomValues(new Uint32Array(1))[0]!
    this.#lastId = 0
    const link: Link = new Link(this.#address, this.#key, {
      ready: () => {
        this.#since = Date.now()
        this.#pump()
        this.#tell({ state: 'connected' })
      },
      reply: (high, low, part, last) => high === this.#prefix && this.#sent.get(low)?.part(part, last),
      drained: () => this.#pump(),
      ended: (why) => this.#dropped(why),
    })
    this.#link = link
  }

  /** Sends what waits, for as long as the socket takes it. */
  #pump(): void {
    const link = this.#link
    while (link?.ready && !link.full) {
      const call = this.#waiting[0]
      if (call === undefined) return
      call.id ??= ++this.#lastId
      const { part, last } = call.next()
      if (last) {
        this.#waiting.shift()
        this.#sent.set(call.id, call)
      }
      this.#send(last ? REQUEST_LAST : REQUEST_MORE, call.id, part)
    }
  }

  #send(type: number, id: number, part: Uint8Array): void {
    const head = new DataView(new ArrayBuffer(10))
    head.setUint16(0, type)
    head.setUint32(2, this.#prefix)
    head.setUint32(6, id)
    this.#link?.send(new Uint8Array(head.buffer), part)
  }

  #forget(call: Call): void {
    // Whoever has some parts of a request waits for the rest: half a request and an end is no JSON, and runs nothing.
    if (call.begun) this.#send(REQUEST_LAST, call.id!, new Uint8Array())
    if (call.sent) this.#sent.delete(call.id!)
    else this.#waiting.splice(this.#waiting.indexOf(call), 1)
  }

  #hold(pieces: Pieces, held: boolean): void {
    if (held) this.#holding.add(pieces)
    else this.#holding.delete(pieces)
    const link = this.#link
    const paused = this.#holding.size > 0
    if (!link?.ready || link.paused === paused) return
    link.paused = paused
    for (const call of this.#sent.values()) call.heard()
  }

  #dropped(why: string): void {
    if (this.#link?.ready && Date.now() - this.#since >= HELD) this.#failures = 0
    this.#link = undefined
    if (!this.#reconnect) return this.#finish(why, new NoConnection(why, false))
    this.#lose(why, true)
    const delay = Math.min(MAX_DELAY, FIRST_DELAY * 2 ** Math.min(this.#failures++, 10)) * (1 - Math.random() / 2)
    this.#timer = setTimeout(() => {
      this.#dial()
      this.#tell({ state: 'connecting' })
    }, delay)
    this.#tell({ state: 'waiting', error: new NoConnection(why, false), retryAt: Date.now() + delay })
  }

  #finish(why: string, error?: NoConnection): void {
    if (this.#status.state === 'closed') return
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#link?.close()
    this.#link = undefined
    this.#status = { state: 'closed', ...(error && { error }) }
    this.#lose(why, false)
    this.dispatchEvent(new Event('status'))
  }

  /** Tells every call that the connection is gone, and whether there will be another. */
  #lose(why: string, another: boolean): void {
    for (const call of [...this.#sent.values(), ...this.#waiting]) call.lost(why, another)
  }

  #tell(status: Status): void {
    if (this.#status.state === 'closed') return
    this.#status = status
    this.dispatchEvent(new Event('status'))
  }
}
