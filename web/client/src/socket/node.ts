// Node.js: TCP, and as much of a WebSocket client (RFC 6455) as BOLT 8 needs. Unlike the global WebSocket, which Node 20
// lacks, it can be held back by a slow reader and takes any certificate.
import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { Inbox } from '../bytes.js'
import type { Address } from '../uri.js'
import { HIGH_WATER, type Dial, type Socket, type SocketEvents } from './socket.js'

export const dial: Dial = (address, events) =>
  address.transport === 'tcp' ? dialTcp(address, events) : dialWebSocket(address, events)

function dialTcp(address: Address, events: SocketEvents): Socket {
  const stream = net.connect({ host: hostname(address), port: address.port, noDelay: true, keepAlive: true })
  stream.on('connect', () => events.opened())
  stream.on('data', (bytes) => events.data(bytes))
  const close = follow(stream, events)
  return {
    write: (bytes) => void stream.write(bytes),
    get full() {
      return stream.writableLength > HIGH_WATER
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    close: () => (close(), void stream.end()),
  }
}

/** Reports how a stream fares. What it answers stops that. */
function follow(stream: net.Socket, events: SocketEvents): () => void {
  let why = 'the other side closed the connection'
  let closed = false
  stream.on('drain', () => closed || events.drained())
  stream.on('error', (error) => (why = reason(error)))
  // After the other side's end nothing is left to be said.
  stream.on('end', () => stream.destroy())
  stream.on('close', () => closed || events.ended(why))
  return () => {
    closed = true
    stream.removeAllListeners('data').resume()
    // Whoever does not take what is left does not keep us.
    stream.setTimeout(CLOSING, () => stream.destroy())
    stream.unref()
  }
}

/** Milliseconds that a closing connection may take to send what was written. */
const CLOSING = 2000

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11' // RFC 6455 §1.3
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10

function dialWebSocket(address: Address, events: SocketEvents): Socket {
  const key = randomBytes(16).toString('base64')
  const options = {
    host: hostname(address),
    port: address.port,
    agent: false,
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
    },
  }
  // Any certificate will do: BOLT 8 inside holds the node to its key, which the connection string names.
  const request = address.transport === 'wss' ? https.get({ ...options, rejectUnauthorized: false }) : http.get(options)
  let stream: net.Socket | undefined
  let stopFollowing = () => {}
  let over = false
  const end = (why: string) => {
    if (over) return
    over = true
    request.destroy()
    events.ended(why)
  }
  request.on('error', (error) => end(reason(error)))
  request.on('response', ({ statusCode }) => end(`it answers as a web server (${statusCode}), not as a WebSocket`))
  request.on('upgrade', (response, socket, head) => {
    if (over) return socket.destroy()
    const accept = createHash('sha1')
      .update(key + GUID)
      .digest('base64')
    if (response.headers['sec-websocket-accept'] !== accept) return end('its WebSocket handshake is wrong')
    stream = socket as net.Socket
    stream.setNoDelay(true)
    const stop = follow(stream, { ...events, ended: end })
    const frames = new Frames(
      (bytes) => stream!.write(bytes),
      events.data,
      (why) => (stop(), stream!.destroy(), end(why)),
    )
    stopFollowing = stop
    events.opened()
    const data = (bytes: Uint8Array) => over || frames.push(bytes)
    data(head)
    stream.on('data', data)
  })
  return {
    write: (bytes) => void stream?.write(frame(BINARY, bytes)),
    get full() {
      return stream !== undefined && stream.writableLength > HIGH_WATER
    },
    pause: () => void stream?.pause(),
    resume: () => void stream?.resume(),
    close() {
      over = true
      stopFollowing()
      if (stream === undefined) request.destroy()
      else stream.end(frame(CLOSE, new Uint8Array()))
    },
  }
}

/** Reads a server's frames (RFC 6455 §5.2). A frame's data is handed on as it comes. */
class Frames {
  readonly #inbox = new Inbox()
  readonly #reply: (bytes: Uint8Array) => void
  readonly #data: (bytes: Uint8Array) => void
  readonly #ended: (why: string) => void
  #opcode = 0
  /** Bytes that the frame still has, once its head is read. */
  #left: number | undefined
  #over = false

  constructor(reply: (bytes: Uint8Array) => void, data: (bytes: Uint8Array) => void, ended: (why: string) => void) {
    this.#reply = reply
    this.#data = data
    this.#ended = ended
  }

  push(bytes: Uint8Array): void {
    this.#inbox.push(bytes)
    while (!this.#over && (this.#left === undefined ? this.#head() : this.#payload(this.#left))) {}
  }

  #head(): boolean {
    const start = this.#inbox.peek(2)
    if (start === undefined) return false
    const length = start[1]!
    const extra = length === 126 ? 2 : length === 127 ? 8 : 0
    const head = this.#inbox.take(2 + extra)
    if (head === undefined) return false
    this.#opcode = head[0]! & 0x0f
    const view = new DataView(head.buffer, head.byteOffset)
    this.#left = extra === 0 ? length : extra === 2 ? view.getUint16(2) : Number(view.getBigUint64(2))
    const control = this.#opcode >= CLOSE
    if ((head[0]! & 0x70) !== 0 || length > 127 || this.#opcode === 1 || (control && length > 125)) {
      this.#end('it sends frames that no node does')
    }
    return true
  }

  #payload(left: number): boolean {
    if (this.#opcode >= CLOSE) {
      const payload = this.#inbox.take(left)
      if (payload === undefined) return false
      this.#left = undefined
      if (this.#opcode === PING) this.#reply(frame(PONG, payload))
      if (this.#opcode === CLOSE) this.#end('the other side closed the WebSocket')
      return true
    }
    const data = this.#inbox.take(Math.min(left, this.#inbox.length))
    const rest = left - data!.length
    this.#left = rest === 0 ? undefined : rest
    if (data!.length > 0) this.#data(data!)
    return this.#inbox.length > 0
  }

  #end(why: string): void {
    this.#over = true
    this.#ended(why)
  }
}

/** A client's frame: masked, as §5.3 demands. */
function frame(opcode: number, payload: Uint8Array): Uint8Array {
  const length = payload.length
  const head =
    length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 0xff] : [127, 0, 0, 0, 0, ...be32(length)]
  const bytes = Buffer.alloc(head.length + 5 + length)
  bytes[0] = 0x80 | opcode
  bytes.set(head, 1)
  bytes[1]! |= 0x80
  const mask = randomBytes(4)
  const start = head.length + 5
  bytes.set(mask, start - 4)
  for (let at = 0; at < length; at++) bytes[start + at] = payload[at]! ^ mask[at & 3]!
  return bytes
}

function be32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
}

/** IPv6 addresses go without their brackets here. */
function hostname({ host }: Address): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

/** A name that has several addresses fails with several errors and no message. */
function reason(error: Error & { errors?: Error[] }): string {
  return error.message || (error.errors ?? []).map(({ message }) => message).join('; ') || error.name
}
