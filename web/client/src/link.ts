// One connection to a node: the handshake, `init`, pings, messages. It lives once; the client makes another after it.
import { dial } from '#socket'
import { Inbox } from './bytes.js'
import { Initiator, NoiseError, SEALED_LENGTH, TAG, ACT_TWO, type Opener, type Sealer } from './noise.js'
import type { Socket } from './socket/socket.js'
import type { Address } from './uri.js'

/** How long connecting may take, handshake and `init` included, in milliseconds. */
const CONNECT_TIMEOUT = 15_000
/** After this long without a sign of the other side it is pinged, in milliseconds. */
const IDLE = 30_000
/** And after this long more it is taken for gone, in milliseconds. */
const PATIENCE = 15_000

/** Message types (BOLT 1, and commando's). */
const WARNING = 1
const INIT = 16
const ERROR = 17
const PING = 18
const PONG = 19
const REPLY_MORE = 0x594b
const REPLY_LAST = 0x594d
/** Gossip that must be known and may be ignored: a node sends it to whoever connects. */
const GOSSIP = [256, 258, 262, 264]

/** A ping that asks for more than this is not answered (BOLT 1 §The ping and pong Messages). */
const MAX_PONG = 65_531

/** Two features' lengths, of 0: we offer nothing and ask for nothing. */
const OUR_INIT = Uint8Array.of(0, INIT, 0, 0, 0, 0)

/** What a link tells. After `ended` nothing. */
export interface LinkEvents {
  /** Both sides have said `init`: requests may be sent. */
  ready(): void
  /** A part of the reply to the request with this 8-byte id, given as its halves. */
  reply(high: number, low: number, part: Uint8Array, last: boolean): void
  /** `full` is over. */
  drained(): void
  ended(why: string): void
}

export class Link {
  readonly #events: LinkEvents
  #socket: Socket | undefined
  readonly #inbox = new Inbox()
  #initiator: Initiator | undefined
  #sealer: Sealer | undefined
  #opener: Opener | undefined
  /** Length of the next body, once it is known. */
  #length: number | undefined
  #opened = false
  #ready = false
  #over = false
  #paused = false
  #warning: string | undefined
  #heard = Date.now()
  #pinged = false
  #timer: ReturnType<typeof setTimeout>

  /** Starts to connect. `key`: our secret key. */
  constructor(address: Address, key: Uint8Array, events: LinkEvents) {
    this.#events = events
    this.#initiator = new Initiator(key, address.nodeId)
    const { actOne } = this.#initiator
    this.#timer = setTimeout(() => this.#end('it does not answer'), CONNECT_TIMEOUT)
    try {
      this.#socket = dial(address, {
        opened: () => {
          this.#opened = true
          this.#socket?.write(actOne)
        },
        data: (bytes) => this.#data(bytes),
        drained: () => this.#over || !this.#ready || events.drained(),
        ended: (why) => this.#ended(why),
      })
    } catch (error) {
      // A page on https may open no ws://.
      setTimeout(() => this.#ended((error as Error).message))
    }
  }

  get ready(): boolean {
    return this.#ready
  }

  /** Much waits to be sent: hold requests back until `drained`. */
  get full(): boolean {
    return this.#socket?.full ?? false
  }

  send(...parts: Uint8Array[]): void {
    if (!this.#over && this.#sealer !== undefined) this.#socket?.write(this.#sealer.seal(...parts))
  }

  /** Holds back what comes in, where the platform can; whether it is held back. */
  set paused(paused: boolean) {
    this.#paused = paused
    this.#heard = Date.now()
    if (paused) this.#socket?.pause()
    else this.#socket?.resume()
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Ends it. No event follows. */
  close(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#socket?.close()
  }

  #end(why: string): void {
    if (this.#over) return
    this.close()
    this.#tell(why)
  }

  #ended(why: string): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    // On an act that is not meant for it a node just closes.
    const another = this.#opened && this.#opener === undefined
    this.#tell(another ? `${why}; it may be another node than the one named, or over a limit on connections` : why)
  }

  #tell(why: string): void {
    this.#events.ended(this.#warning === undefined ? why : `${why}; before that it said: ${this.#warning}`)
  }

  #data(bytes: Uint8Array): void {
    if (this.#over) return
    this.#heard = Date.now()
    this.#pinged = false
    this.#inbox.push(bytes)
    try {
      while (!this.#over && this.#read()) {}
    } catch (error) {
      if (!(error instanceof NoiseError)) throw error
      this.#end(error.message)
    }
  }

  /** Reads the next act, length or body; whether there was one. */
  #read(): boolean {
    if (this.#opener === undefined) {
      const act = this.#inbox.take(ACT_TWO)
      if (act === undefined) return false
      const { actThree, sealer, opener } = this.#initiator!.readActTwo(act)
      this.#initiator = undefined
      this.#sealer = sealer
      this.#opener = opener
      this.#socket?.write(actThree)
      this.send(OUR_INIT)
    } else if (this.#length === undefined) {
      const sealed = this.#inbox.take(SEALED_LENGTH)
      if (sealed === undefined) return false
      this.#length = this.#opener.length(sealed)
    } else {
      const sealed = this.#inbox.take(this.#length + TAG)
      if (sealed === undefined) return false
      this.#length = undefined
      this.#message(this.#opener.body(sealed))
    }
    return true
  }

  #message(message: Uint8Array): void {
    if (message.length < 2) return
    const view = new DataView(message.buffer, message.byteOffset, message.length)
    const type = view.getUint16(0)
    switch (type) {
      case INIT:
        if (!this.#ready) {
          this.#ready = true
          this.#watch(IDLE)
          this.#events.ready()
        }
        break
      case REPLY_MORE:
      case REPLY_LAST:
        if (message.length >= 10)
          this.#events.reply(view.getUint32(2), view.getUint32(6), message.subarray(10), type === REPLY_LAST)
        break
      case PING:
        if (message.length >= 4 && view.getUint16(2) <= MAX_PONG) this.#pong(view.getUint16(2))
        break
      case WARNING:
        this.#warning = complaint(message)
        break
      case ERROR:
        this.#end(`the node says: ${complaint(message)}`)
        break
      default:
        // It's OK to be odd (BOLT 1 §Lightning Message Format).
        if (type % 2 === 0 && !GOSSIP.includes(type))
          this.#end(`it sends messages of type ${type}, which we must know and do not`)
    }
  }

  #pong(length: number): void {
    const pong = new Uint8Array(4 + length)
    new DataView(pong.buffer).setUint32(0, (PONG << 16) | length)
    this.send(pong)
  }

  /** Looks again after `milliseconds` whether the other side is there. */
  #watch(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      const idle = this.#paused ? 0 : Date.now() - this.#heard
      if (idle < IDLE) return this.#watch(IDLE - idle)
      if (this.#pinged) return this.#end('it no longer answers')
      this.#pinged = true
      this.send(Uint8Array.of(0, PING, 0, 0, 0, 0))
      this.#watch(PATIENCE)
    }, milliseconds)
    // It alone keeps no process alive; Node's timers have this.
    ;(this.#timer as { unref?(): void }).unref?.()
  }
}

/** The text of a warning or an error: 2 bytes type, 32 channel id, 2 length, text. */
function complaint(message: Uint8Array): string {
  const text = new TextDecoder().decode(message.subarray(36))
  return text.replace(/[\p{C}]+/gu, ' ').slice(0, 500)
}
