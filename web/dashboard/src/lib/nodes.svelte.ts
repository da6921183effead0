// The nodes this browser knows. Runes are kept in localStorage, keys in IndexedDB; nothing leaves the browser.
import { KeyStore, pair, type Pairing } from '@runeward/client'
import { Node, type NodeRecord } from './node.svelte'
import { load, save, watch, wipe } from './storage'
import { pubkeyOf } from './uri'

class Nodes {
  readonly #keys = new KeyStore()
  #list = $state.raw<Node[]>([])
  #currentId = $state<string>()
  #ready = $state(false)
  readonly #current = $derived(this.#list.find((node) => node.id === this.#currentId))

  constructor() {
    watch('nodes', () => void this.#sync())
    const wake = () => document.visibilityState === 'visible' && this.#current?.retry()
    document.addEventListener('visibilitychange', wake)
    addEventListener('online', wake)
  }

  get list(): readonly Node[] {
    return this.#list
  }

  /** The node that the pages show. */
  get current(): Node | undefined {
    return this.#current
  }

  /** Whether it is known which nodes there are. */
  get ready(): boolean {
    return this.#ready
  }

  /** Reads what was kept, and connects to the node that was open last. */
  async start(): Promise<void> {
    await this.#sync()
    this.#ready = true
  }

  select(id: string): void {
    this.#currentId = id
    save('current', id)
  }

  /**
   * Takes a connection string with a rune, after a look whether somebody answers there and takes the rune. A node that
   * is known gets the new rune in place of its old one.
   *
   * @throws `NoConnection`, `RefusedByRune`, `Invalid`, and the signal's reason
   */
  async add(uri: string, signal?: AbortSignal): Promise<Node> {
    const pubkey = pubkeyOf(uri)
    const id = this.#idFor(pubkey)
    let node: Node | undefined
    try {
      node = this.#make({ id, uri: uri.trim(), pubkey }, await this.#keys.key(id))
      await Promise.race([node.met, aborted(signal)])
    } catch (error) {
      node?.close()
      if (!this.#knows(id)) await this.#keys.forget(id)
      throw error
    }
    return this.#take(node)
  }

  /**
   * Trades the one-time rune of a pairing code for one bound to a key of our own.
   *
   * @throws as the client's `pair`
   */
  async pair(uri: string, name: string | undefined, signal?: AbortSignal): Promise<{ node: Node; pairing: Pairing }> {
    const pubkey = pubkeyOf(uri)
    const id = this.#idFor(pubkey)
    const key = await this.#keys.key(id)
    try {
      const pairing = await pair(uri, { name, key, signal })
      return { node: this.#take(this.#make({ id, uri: pairing.uri, pubkey }, key)), pairing }
    } catch (error) {
      if (!this.#knows(id)) await this.#keys.forget(id)
      throw error
    }
  }

  /** Wipes what this browser knows of a node: its rune, and the key the rune was used with. */
  async forget(id: string): Promise<void> {
    this.#list.find((node) => node.id === id)?.close()
    this.#list = this.#list.filter((node) => node.id !== id)
    wipe(id)
    this.#keep()
    await this.#keys.forget(id)
    if (this.#currentId === id) this.#choose()
  }

  /** Takes a node in, in the place of the one that has its id. */
  #take(node: Node): Node {
    const before = this.#list.find(({ id }) => id === node.id)
    before?.close()
    this.#list = before ? this.#list.map((other) => (other === before ? node : other)) : [...this.#list, node]
    this.#keep()
    this.select(node.id)
    return node
  }

  #make(record: NodeRecord, key: Uint8Array): Node {
    return new Node(record, key, () => this.#keep())
  }

  #idFor(pubkey: string): string {
    return this.#list.find((node) => node.record.pubkey === pubkey)?.id ?? newId()
  }

  #knows(id: string): boolean {
    return this.#list.some((node) => node.id === id)
  }

  #keep(): void {
    const records = this.#list.map((node) => node.record)
    save('nodes', records.length === 0 ? undefined : records)
  }

  /** Reads what was kept, by another tab too: nodes that are new are opened, those that are gone closed. */
  async #sync(): Promise<void> {
    const records = load<NodeRecord[]>('nodes') ?? []
    const list: Node[] = []
    for (const record of records) {
      const before = this.#list.find((node) => node.id === record.id)
      if (before?.record.uri === record.uri) list.push(before)
      else list.push(...(await this.#remake(record)))
    }
    for (const node of this.#list) if (!list.includes(node)) node.close()
    this.#list = list
    if (this.#current === undefined) this.#choose()
  }

  /** None where what was kept makes no sense any more. */
  async #remake(record: NodeRecord): Promise<Node[]> {
    try {
      return [this.#make(record, await this.#keys.key(record.id))]
    } catch {
      return []
    }
  }

  #choose(): void {
    const last = load<string>('current')
    this.#currentId = (this.#list.find((node) => node.id === last) ?? this.#list[0])?.id
    save('current', this.#currentId)
  }
}

/** Rejects when the signal is aborted, with its reason. */
function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
}

/** 16 random hexadecimal digits. `crypto.randomUUID` is not there for pages on http. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export const nodes = new Nodes()
