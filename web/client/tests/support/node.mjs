// A node that does what a test tells it to, byte by byte where need be, over TCP and WebSocket on one port.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { connect } from '@runeward/client'
import { Inbox, concat, toHex } from '../../dist/bytes.js'
import { generateKey, publicKey } from '../../dist/noise.js'
import { Responder } from './responder.mjs'

const INIT = Uint8Array.of(0, 16, 0, 0, 0, 0)

/** A connection after its handshake. */
class Peer {
  /** Every message that came, in order. */
  messages = []
  #parts = new Map()

  /** How many requests have begun and not ended. */
  get begun() {
    return this.#parts.size
  }

  constructor(stream, transport) {
    Object.assign(this, { stream, transport })
  }

  send(message) {
    this.stream.write(this.transport.sealer.seal(message))
  }

  /** Answers a request; each string is one part. */
  reply({ id }, ...parts) {
    parts.forEach((part, at) =>
      this.send(concat([Uint8Array.of(0x59, at + 1 < parts.length ? 0x4b : 0x4d), id, Buffer.from(part)])),
    )
  }

  /** Takes a message; answers the request that ends with it, if one does. */
  take(message) {
    this.messages.push(message)
    const type = message[0] * 256 + message[1]
    if (type !== 0x4c4d && type !== 0x4c4f) return undefined
    const id = message.slice(2, 10)
    const parts = this.#parts.get(toHex(id)) ?? []
    parts.push(message.slice(10))
    this.#parts.set(toHex(id), parts)
    if (type === 0x4c4d) return undefined
    this.#parts.delete(toHex(id))
    const text = Buffer.concat(parts).toString()
    let json
    try {
      json = JSON.parse(text)
    } catch {}
    return { id, text, json, parts: parts.length }
  }
}

export class ScriptedNode {
  peers = []
  /** How many connections came in. */
  connections = 0
  #server
  #script

  /**
   * `script.actTwo`: sent as it is, then the end. `script.init`: in place of ours, or `null` for none.
   * `script.request(peer, request)`: what to do with each request. `script.message(peer, message)`: with each message.
   */
  static async start(script = {}) {
    const node = new ScriptedNode()
    node.secret = generateKey()
    node.#script = script
    await node.up()
    return node
  }

  async up() {
    this.#server = net.createServer((stream) => this.#serve(stream).catch(() => stream.destroy()))
    this.#server.listen(this.port ?? 0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = this.#server.address().port
  }

  get nodeId() {
    return toHex(publicKey(this.secret))
  }

  get uri() {
    return `${this.nodeId}@127.0.0.1:${this.port}`
  }

  get wsUri() {
    return `commando+ws://127.0.0.1:${this.port}?pubkey=${this.nodeId}`
  }

  connect(options) {
    return connect(this.uri, { rune: 'r', ...options })
  }

  async stop() {
    this.streams.forEach((stream) => stream.destroy())
    await new Promise((resolve) => this.#server.close(resolve))
  }

  streams = new Set()

  async #serve(raw) {
    this.connections++
    this.streams.add(raw)
    raw.on('error', () => {})
    raw.on('close', () => this.streams.delete(raw))
    const { actTwo, init = INIT, request, message } = this.#script
    const stream = await accept(raw)
    const inbox = new Inbox()
    let wake = () => {}
    stream.onData((bytes) => (inbox.push(bytes), wake()))
    const take = async (length) => {
      for (;;) {
        const taken = inbox.take(length)
        if (taken !== undefined) return taken
        await new Promise((resolve) => (wake = resolve))
      }
    }
    const responder = new Responder(this.secret)
    const actOne = await take(50)
    if (actTwo !== undefined) return (stream.write(actTwo), raw.end())
    stream.write(responder.readActOne(actOne))
    const transport = responder.readActThree(await take(66))
    const peer = new Peer(stream, transport)
    peer.raw = raw
    peer.nodeId = toHex(transport.peer)
    this.peers.push(peer)
    if (init !== null) peer.send(init)
    for (;;) {
      const length = transport.opener.length(await take(18))
      const bytes = transport.opener.body(await take(length + 16))
      message?.(peer, bytes)
      const whole = peer.take(bytes)
      if (whole !== undefined) request?.(peer, whole)
    }
  }
}

/** Speaks WebSocket where the first byte asks for it. */
async function accept(raw) {
  const [first] = await once(raw, 'data')
  if (first[0] === 0) {
    return { write: (bytes) => raw.write(bytes), onData: (take) => (take(first), raw.on('data', take)) }
  }
  const key = /^sec-websocket-key: *(\S+)/im.exec(first.toString())[1]
  const accepted = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  raw.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accepted}\r\n\r\n`,
  )
  const frames = new Inbox()
  return {
    raw,
    write(bytes) {
      const { length } = bytes
      const head = length < 126 ? [length] : [126, length >> 8, length & 255]
      return raw.write(concat([Uint8Array.of(0x82, ...head), bytes]))
    },
    onData(take) {
      raw.on('data', (bytes) => {
        frames.push(bytes)
        for (;;) {
          const start = frames.peek(2)
          if (start === undefined) return
          const short = start[1] & 0x7f
          const extra = short === 126 ? 2 : short === 127 ? 8 : 0
          const head = frames.peek(2 + extra)
          if (head === undefined) return
          const view = new DataView(head.buffer, head.byteOffset)
          const length = extra === 0 ? short : extra === 2 ? view.getUint16(2) : Number(view.getBigUint64(2))
          const whole = frames.take(2 + extra + 4 + length)
          if (whole === undefined) return
          const mask = whole.subarray(2 + extra, 6 + extra)
          const payload = whole.slice(6 + extra).map((byte, at) => byte ^ mask[at & 3])
          if ((whole[0] & 15) === 8) raw.end()
          else take(payload)
        }
      })
    },
  }
}

/** A node for one test. */
export async function start(t, script) {
  const node = await ScriptedNode.start(script)
  t.after(() => node.stop())
  return node
}

/** A client of it for one test. */
export async function connected(t, node, options) {
  const client = await node.connect(options)
  t.after(() => client.close())
  return client
}

/** Answers a request with a result, which is JSON. */
export function ok(peer, request, result = '{}') {
  peer.reply(request, `{"jsonrpc":"2.0","id":0,"result":${result}}`)
}
