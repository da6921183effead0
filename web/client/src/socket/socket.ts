// What carries the bytes. `#socket` is ./browser.js or ./node.js, as package.json says.
import type { Address } from '../uri.js'

/** A stream of bytes that is being opened, or open. */
export interface Socket {
  /** Takes any number of bytes; look at `full` before many. */
  write(bytes: Uint8Array): void
  /** Over {@link HIGH_WATER} bytes wait to be sent. `drained` is called when they no longer do. */
  readonly full: boolean
  /** Asks that no more `data` come for a while. A browser cannot hold its WebSockets back, so there they do come. */
  pause(): void
  resume(): void
  /** Sends what was written, then ends. No event follows. */
  close(): void
}

/** What happens to a socket. */
export interface SocketEvents {
  opened(): void
  data(bytes: Uint8Array): void
  drained(): void
  /** It could not be opened, or has ended. Called once, and last. */
  ended(why: string): void
}

/** Begins to open a socket. Where it throws there is none, and no event. */
export type Dial = (address: Address, events: SocketEvents) => Socket

/** Bytes that may wait to be sent before whoever writes them waits too. */
export const HIGH_WATER = 256 * 1024
