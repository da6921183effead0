import { connect, type Client } from './client.js'
import { LostNotSent, LostOutcomeUnknown, RefusedByLimit, RunewardError, TimedOut } from './errors.js'
import { generateKey } from './noise.js'
import { withRune } from './uri.js'

/** How long an offer lives at most, in milliseconds. */
const OFFER = 60_000
/** Milliseconds between two tries. */
const PAUSE = 500

/** How to pair. */
export interface PairOptions {
  /** What the owner's list of runes calls this device, unless the owner has named it: 1 to 64 bytes. */
  name?: string | undefined
  /** The secret key that the new rune is bound to, 32 bytes; made unless given. */
  key?: Uint8Array | undefined
  /** Ends the attempt. */
  signal?: AbortSignal | undefined
}

/** What a device gets by pairing: a rune of its own. */
export interface Pairing {
  /** The connection string with the new rune in it: with `key`, all that {@link connect} needs. Keep both. */
  uri: string
  /** The secret key the rune is bound to: nobody can use the rune without it. */
  key: Uint8Array
  rune: string
  uniqueId: string
  /** The node id of `key`, which the gateway saw. */
  nodeId: string
  name: string
  /** The rune's restrictions, in which our key's node id is one. */
  restrictions: string[]
  /** What the rune may do, in words. */
  restrictionsAsEnglish: string
  /** In UNIX seconds; `undefined` where it does not end. */
  expiresAt: number | undefined
}

/**
 * Trades the one-time rune of an offer, as a QR code shows it, for one of our own that works with our key alone.
 *
 * An offer lives at most 60 s. Where the connection is lost in between it is asked again for so long, which is safe: the
 * same key gets the same rune.
 *
 * @param uri what the QR code says: `commando+ws://…` with the offer's rune, or a link with that behind `#pair=`
 * @throws {RefusedByRune} where the offer is over, or another device was faster
 * @throws {NoConnection | Invalid | Aborted} as {@link connect} does
 * @throws {TimedOut} after 60 s
 *
 * @example
 * ```js
 * import { connect, KeyStore, pair } from '@runeward/client'
 *
 * const { uri, key } = await pair(scanned, { name: 'my phone', key: await new KeyStore().key() })
 * const client = await connect(uri, { key })
 * ```
 */
export async function pair(uri: string, { name, key = generateKey(), signal }: PairOptions = {}): Promise<Pairing> {
  const until = Date.now() + OFFER
  const client = await connect(uri, { key, signal })
  try {
    const claimed = await claim(client, name, until, signal)
    return {
      uri: withRune(uri, claimed.rune),
      key,
      rune: claimed.rune,
      uniqueId: String(claimed.unique_id),
      nodeId: claimed.node_id,
      name: claimed.name,
      restrictions: claimed.restrictions,
      restrictionsAsEnglish: claimed.restrictions_as_english,
      expiresAt: claimed.expires_at ?? undefined,
    }
  } finally {
    client.close()
  }
}

/** A gateway's answer to `runeward-pair`. */
interface Claimed {
  rune: string
  unique_id: string | number
  node_id: string
  name: string
  restrictions: string[]
  restrictions_as_english: string
  expires_at?: number | null
}

async function claim(
  client: Client,
  name: string | undefined,
  until: number,
  signal: AbortSignal | undefined,
): Promise<Claimed> {
  for (;;) {
    try {
      const timeout = Math.max(until - Date.now(), 0)
      return await client.call<Claimed>('runeward-pair', { name }, { timeout, signal })
    } catch (error) {
      const pause = pauseAfter(error)
      if (pause === undefined) throw error
      if (Date.now() + pause >= until)
        throw new TimedOut(`no answer came in the ${OFFER / 1000} s that an offer lives`, true, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}

/** How long to wait before it is worth another try, in milliseconds; `undefined` where it is not. */
function pauseAfter(error: unknown): number | undefined {
  if (error instanceof RefusedByLimit) return error.retryAfter
  if (error instanceof RunewardError && (error instanceof LostNotSent || error instanceof LostOutcomeUnknown))
    return PAUSE
  return undefined
}
