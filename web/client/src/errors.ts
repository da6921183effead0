// Every way in which something can fail, one class each: what happened, why, and whether the command may have run.

/** What a {@link RunewardError} can be. */
export type ErrorKind =
  | 'refused-by-rune'
  | 'refused-by-node'
  | 'refused-by-limit'
  | 'lost-not-sent'
  | 'lost-outcome-unknown'
  | 'timed-out'
  | 'aborted'
  | 'no-connection'
  | 'invalid'

/** What all errors of this library have in common. */
export abstract class RunewardError extends Error {
  abstract readonly kind: ErrorKind
  /**
   * Whether the command may have run. Where it is `false` the call can be repeated without harm; where it is `true`,
   * only what is safe to do twice.
   */
  readonly mayHaveRun: boolean

  /** @internal */
  constructor(message: string, mayHaveRun: boolean, options?: ErrorOptions) {
    super(message, options)
    this.mayHaveRun = mayHaveRun
  }
}

/** An error as it stands in a reply. */
export interface ReplyError {
  code: number
  message: string
  data?: unknown
}

/** What the other side answered in place of a result. */
export abstract class Refused extends RunewardError {
  /** The number it gave, such as -32602. */
  readonly code: number
  /** What it said beside the message, if anything. */
  readonly data: unknown

  /** @internal */
  constructor({ code, message, data }: ReplyError, mayHaveRun: boolean) {
    super(message, mayHaveRun)
    this.code = code
    this.data = data
  }
}

/**
 * The rune does not allow this: its restrictions are not met, it has expired or been revoked, or it is no rune of that
 * node. The message names the restriction. The same call with the same rune is refused again, unless the restriction
 * has to do with time.
 */
export class RefusedByRune extends Refused {
  override readonly name = 'RefusedByRune'
  readonly kind = 'refused-by-rune'
}

/** The node's own error: an unknown command, a bad parameter, a payment that failed. */
export class RefusedByNode extends Refused {
  override readonly name = 'RefusedByNode'
  readonly kind = 'refused-by-node'
}

/** Too much at once, for the gateway or for a quota of the rune. The command did not run. */
export class RefusedByLimit extends Refused {
  override readonly name = 'RefusedByLimit'
  readonly kind = 'refused-by-limit'
  /** Milliseconds after which it is worth another try. */
  readonly retryAfter: number

  /** @internal */
  constructor(error: ReplyError, retryAfter: number) {
    super(error, false)
    this.retryAfter = retryAfter
  }
}

/** The connection, or the node behind the gateway, was gone before the command was sent: it did not run. */
export class LostNotSent extends RunewardError {
  override readonly name = 'LostNotSent'
  readonly kind = 'lost-not-sent'
}

/** The command was sent and its answer was lost. It may have run, be running still, or never have arrived. */
export class LostOutcomeUnknown extends RunewardError {
  override readonly name = 'LostOutcomeUnknown'
  readonly kind = 'lost-outcome-unknown'
}

/** Nothing of the reply came within the call's `timeout`. */
export class TimedOut extends RunewardError {
  override readonly name = 'TimedOut'
  readonly kind = 'timed-out'
}

/** The call's `signal` was aborted. `cause` is the signal's reason. */
export class Aborted extends RunewardError {
  override readonly name = 'Aborted'
  readonly kind = 'aborted'
}

/** There is no connection: unreachable, another node than the one named, or no node at all. */
export class NoConnection extends RunewardError {
  override readonly name = 'NoConnection'
  readonly kind = 'no-connection'
}

/** What was handed in cannot work: a malformed connection string or key, or a request over 1 MiB. Nothing was sent. */
export class Invalid extends RunewardError {
  override readonly name = 'Invalid'
  readonly kind = 'invalid'

  /** @internal */
  constructor(message: string, options?: ErrorOptions) {
    super(message, false, options)
  }
}

/**
 * The error that a reply's `error` means. The codes are lightningd's (19536, 19537) and the gateway's own (19540 to
 * 19546); every other is the node's.
 *
 * @internal
 */
export function errorOf(reply: unknown): RunewardError {
  const { code, message, data } = reply as Partial<ReplyError>
  if (typeof code !== 'number' || typeof message !== 'string') {
    return new RefusedByNode({ code: 0, message: `an error without code or message: ${JSON.stringify(reply)}` }, true)
  }
  const error = { code, message, data }
  const lost = { cause: error }
  switch (code) {
    case 19536:
      return /^(Missing|Invalid) rune/.test(message) ? new RefusedByRune(error, false) : new RefusedByNode(error, false)
    case 19537:
      return new RefusedByRune(error, false)
    case 19544:
      return new RefusedByRune(error, true)
    case 19542:
      return new RefusedByLimit(error, retryAfter(data))
    case 19540:
    case 19543:
    case 19545:
      return new LostNotSent(message, false, lost)
    case 19541:
      return new LostOutcomeUnknown(message, true, lost)
    case 19546:
      return new RefusedByNode(error, false)
    default:
      return new RefusedByNode(error, true)
  }
}

/** Milliseconds; a second where a limit does not say. */
function retryAfter(data: unknown): number {
  const told = (data as { retry_after_ms?: unknown } | null | undefined)?.retry_after_ms
  return typeof told === 'number' && told >= 0 ? told : 1000
}
