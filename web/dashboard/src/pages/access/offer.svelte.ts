// A pairing code: offered, waited for, taken back.
import { LostNotSent, LostOutcomeUnknown, RunewardError } from '@runeward/client'
import type { Node } from '../../lib/node.svelte'
import { clock } from '../../lib/time.svelte'
import { placeOf } from '../../lib/uri'

/** What a device is to get. */
export interface Wanted {
  preset: string
  name?: string | undefined
  /** Seconds. */
  expires_in?: number | undefined
}

/** What became of an offer: the answer to `runeward-waitoffer`. */
export interface Outcome {
  status: 'open' | 'claimed' | 'expired' | 'cancelled'
  /** The device's. */
  node_id?: string
  name?: string
  unique_id?: number
  fingerprint?: string
  used_twice?: boolean
  refused_node_id?: string | null
}

/** How long an offer is good for, in milliseconds. */
export const LIFE = 60_000
/** Between two looks whether somebody else tries, too. */
const LOOK = 2000
/** After a lost connection, before the next try. */
const PAUSE = 500

export class Offer {
  readonly #node: Node
  readonly #abort = new AbortController()
  readonly #begun = Date.now()
  readonly #id: number
  /** The connection string that the code holds. */
  readonly uri: string
  #outcome = $state<Outcome>({ status: 'open' })
  #error = $state.raw<RunewardError>()

  private constructor(node: Node, { offer_id, uri }: { offer_id: number; uri: string }) {
    this.#node = node
    this.#id = offer_id
    this.uri = uri
    void this.#follow()
  }

  /** Makes one, and waits for a device. @throws as the client's `call` */
  static async make(node: Node, wanted: Wanted): Promise<Offer> {
    return new Offer(node, await node.call('runeward-offer', wanted))
  }

  get outcome(): Outcome {
    return this.#outcome
  }

  /** Why it is not known what becomes of it. */
  get error(): RunewardError | undefined {
    return this.#error
  }

  /** Milliseconds it is still good for, by this device's clock. */
  get left(): number {
    return Math.max(0, LIFE - (clock.now - this.#begun))
  }

  /** Leaves it; one that nobody has claimed is taken back. */
  async close(): Promise<void> {
    this.#abort.abort()
    if (this.#outcome.status !== 'open' || this.left === 0) return
    this.#outcome = { status: 'cancelled' }
    await this.#node.call('runeward-revoke', { ids: [this.#id] }).catch(() => {
      // It dies by itself within the minute.
    })
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      try {
        const options = { signal, timeout: Infinity }
        this.#outcome = await this.#node.call<Outcome>('runeward-waitoffer', { offer_id: this.#id }, options)
        // Until its minute is over others can try, and are told of.
        if (this.#outcome.status !== 'claimed' || this.left === 0) return
        await pause(LOOK)
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof LostOutcomeUnknown || error instanceof LostNotSent)) {
          this.#error = error as RunewardError
          return
        }
        await pause(PAUSE)
      }
    }
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/**
 * The link that a phone's own camera opens: this dashboard with the offer, as that phone reaches it.
 *
 * Where the gateway itself serves this page, it is the address the gateway advertises. Elsewhere it is this very site,
 * and where that is on https, which opens `wss://` only, the way this page itself reaches the gateway.
 */
export function pairingLink(offer: string, own: string): string {
  const [, secure, place, query] = /^commando\+ws(s?):\/\/([^/?]+)[^?]*(\?.*)$/.exec(offer) ?? []
  if (place === undefined) return offer
  if (placeOf(own) === location.host) return `http${secure}://${place}/#pair=${offer}`
  const reached = location.protocol === 'https:' ? `commando+wss://${placeOf(own)}${query}` : offer
  return `${location.origin}${location.pathname}#pair=${reached}`
}

/** The host that a link leads to, where only the machine it is on reaches that. */
export function unreachable(link: string): string | undefined {
  const { hostname } = new URL(link)
  return /^(localhost|127\..*|\[::1\]|0\.0\.0\.0|\[::\])$/.test(hostname) ? hostname : undefined
}
