/**
 * Commands a Lightning node from a browser, a worker or Node.js: commando over BOLT 8, by rune.
 *
 * Start with {@link connect}. What runes say is read by the entry `@runeward/client/runes`.
 *
 * @module
 */
export type { CallOptions } from './call.js'
export { Client, connect, type ConnectOptions, type Status } from './client.js'
export {
  Aborted,
  Invalid,
  LostNotSent,
  LostOutcomeUnknown,
  NoConnection,
  Refused,
  RefusedByLimit,
  RefusedByNode,
  RefusedByRune,
  RunewardError,
  TimedOut,
  type ErrorKind,
} from './errors.js'
export { KeyStore, nodeIdOf } from './keys.js'
export { generateKey } from './noise.js'
export { pair, type Pairing, type PairOptions } from './pair.js'
