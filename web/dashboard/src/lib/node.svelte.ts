// One node that the visitor has connected to: its connection, what its rune allows, who it is.
import { Client, Refused, RefusedByNode, RefusedByRune, type CallOptions, type Status } from '@runeward/client'

/** What is kept of a node in the browser. `uri` has the rune in it. */
export interface NodeRecord {
  /** Names the record, and the key in the key store that the rune is used with. */
  id: string
  uri: string
  /** 66 hexadecimal digits: whoever answers behind `uri`. */
  pubkey: string
  alias?: string
  color?: string
}

/** The answer to `runeward-whoami`. */
export interface Whoami {
  unique_id: number | null
  name: string | null
  /** Our own. */
  node_id: string
  methods: string[]
  restrictions_as_english: string
  expires_at: number | null
  version: string
  network: string
}

/**
 * Whether this error of `runeward-whoami` means that there is no gateway but a node, which has no such command; its runes
 * are simply tried. A gateway answers every rune that is good for anything.
 */
function isNoGateway(error: unknown): boolean {
  if (error instanceof RefusedByRune) return /Not permitted: .*method/.test(error.message)
  return error instanceof RefusedByNode
}

export class Node {
  #record: NodeRecord
  /**
   * Settles with the first connection: once it is known what the rune allows, as far as that can be. Rejects with
   * `NoConnection`, or with `RefusedByRune` where the rune is worth nothing; the node goes on trying all the same.
   */
  readonly met: Promise<void>
  #meeting!: { resolve: () => void; reject: (error: unknown) => void }
  readonly #key: Uint8Array
  readonly #changed: () => void
  #client: Client
  #status = $state<Status>({ state: 'connecting' })
  #whoami = $state<Whoami>()
  #known = $state(false)
  #refused = $state<string>()
  #alias = $state('')
  #color = $state('')
  #network = $state('')
  #methods = $derived(this.#whoami && new Set(this.#whoami.methods))

  /**
   * Starts to connect. `changed` is called when there is more to keep of it than before.
   *
   * Throws `Invalid` where the connection string is malformed.
   */
  constructor(record: NodeRecord, key: Uint8Array, changed: () => void) {
    this.#record = record
    this.#key = key
    this.#changed = changed
    this.#alias = record.alias ?? ''
    this.#color = record.color ?? ''
    this.met = new Promise((resolve, reject) => (this.#meeting = { resolve, reject }))
    // Not everybody waits for it.
    this.met.catch(() => {})
    this.#client = this.#open()
  }

  /** What is to be kept of it. */
  get record(): NodeRecord {
    return this.#record
  }

  get id(): string {
    return this.record.id
  }

  /** What to call it: its alias, or the start of its public key. */
  get name(): string {
    return this.#alias || `${this.record.pubkey.slice(0, 8)}…`
  }

  /** Its colour, as the node gives it in `getinfo`: `#02bf81`. */
  get color(): string {
    return /^[0-9a-f]{6}$/.test(this.#color) ? `#${this.#color}` : `#${this.record.pubkey.slice(2, 8)}`
  }

  /** `bitcoin`, `regtest`, …; empty until it is known. */
  get network(): string {
    return this.#network
  }

  get status(): Status {
    return this.#status
  }

  /** What the gateway says of our rune; `undefined` until it has, and before a node that is no gateway. */
  get whoami(): Whoami | undefined {
    return this.#whoami
  }

  /** Whether it was found out what the rune allows, as far as that can be. Pages wait for it before they show anything. */
  get known(): boolean {
    return this.#known
  }

  /** Why the rune is worth nothing: revoked, expired, bound to another key. `undefined` where it is good. */
  get refused(): string | undefined {
    return this.#refused
  }

  /** Whether the rune could allow this command. Where nobody says, it is tried. */
  can(method: string): boolean {
    return this.#methods === undefined || this.#methods.has(method)
  }

  /** The first of these commands that the rune could allow. */
  first(...methods: string[]): string | undefined {
    return methods.find((method) => this.can(method))
  }

  /** As the client's: see there for its errors. */
  async call<Result = any>(method: string, params?: object, options?: CallOptions): Promise<Result> {
    try {
      return await this.#client.call<Result>(method, params, options)
    } catch (error) {
      // It may be revoked by now.
      if (error instanceof RefusedByRune && method !== 'runeward-whoami') void this.#ask()
      throw error
    }
  }

  /** As the client's. */
  stream(method: string, params?: object, options?: CallOptions): AsyncGenerator<string, void, undefined> {
    return this.#client.stream(method, params, options)
  }

  /** Tries to connect now, in place of waiting for the next try. */
  retry(): void {
    if (this.#status.state !== 'waiting') return
    this.#client.close()
    this.#client = this.#open()
  }

  close(): void {
    this.#client.close()
  }

  #open(): Client {
    const client = new Client(this.record.uri, { key: this.#key })
    const look = () => {
      if (client !== this.#client) return
      this.#status = client.status
      if (client.status.state === 'connected') void this.#ask()
      if (client.status.state === 'waiting') this.#meeting.reject(client.status.error)
    }
    client.addEventListener('status', look)
    this.#status = client.status
    return client
  }

  /** Asks what the rune allows, and who the node is. */
  async #ask(): Promise<void> {
    try {
      this.#whoami = await this.#client.call<Whoami>('runeward-whoami')
      this.#network = this.#whoami.network
      this.#refused = undefined
    } catch (error) {
      // Lost: it is asked again with the next connection.
      if (!(error instanceof Refused)) return
      if (!isNoGateway(error)) {
        this.#refused = error.message.replace(/^Invalid rune: /, '')
        this.#meeting.reject(error)
      }
    }
    this.#known = true
    this.#meeting.resolve()
    if (this.#refused === undefined && this.can('getinfo')) await this.#meet()
  }

  async #meet(): Promise<void> {
    try {
      const filter = { alias: true, color: true, network: true }
      const info = await this.#client.call('getinfo', {}, { filter })
      this.#network = String(info.network)
      if (info.alias === this.#alias && info.color === this.#color) return
      this.#alias = String(info.alias)
      this.#color = String(info.color)
      this.#record = { ...this.#record, alias: this.#alias, color: this.#color }
      this.#changed()
    } catch {
      // It keeps the name it had.
    }
  }
}
