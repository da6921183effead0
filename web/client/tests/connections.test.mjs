// What becomes of connections, before a node that does what the test tells it to.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, connect, generateKey, KeyStore, nodeIdOf, pair } from '@runeward/client'
import { within } from '../../../tests/interop/node/gateway.mjs'
import { connected, ok, start } from './support/node.mjs'

const until = async (what, condition) => {
  const turns = async () => {
    while (!condition()) await sleep(5)
  }
  await within(10, what, turns())
}

describe('connections', () => {
  test('a node as lightningd is: features, networks, gossip and pings of its own', async (t) => {
    const hex = (text) => Buffer.from(text, 'hex')
    const chain = '06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f'
    const node = await start(t, { init: hex(`0010000211000008800898880a8a59a10120${chain}`), request: ok })
    for (const uri of [node.uri, node.wsUri]) {
      const client = await connect(uri)
      const peer = node.peers.at(-1)
      for (const message of [
        `0109${chain}${'00'.repeat(8)}`,
        '001200100000',
        '0100aabb',
        '0102aabb',
        '0101aabb',
        '0007',
      ])
        peer.send(hex(message))
      assert.deepEqual(await client.call('getinfo'), {})
      assert.deepEqual([...peer.messages[0]], [0, 16, 0, 0, 0, 0])
      client.close()
    }
  })

  test('pings are answered, and odd messages passed over', async (t) => {
    const messages = []
    const node = await start(t, { message: (_, message) => messages.push(Buffer.from(message)), request: ok })
    const client = await connected(t, node, { reconnect: false })
    const [peer] = node.peers
    for (const message of [
      [0, 18, 0, 5, 0, 1, 0],
      [0, 18, 0xff, 0xfc, 0, 0],
      [1, 0, 9],
      [1, 1],
      [0x7f, 0xff],
      [],
      [0],
      [0, 16, 0, 0, 0, 0],
    ]) {
      peer.send(Uint8Array.from(message))
    }
    // The first goes out before they are read, the second behind what answers them.
    await client.call('getinfo')
    await client.call('getinfo')
    const pongs = messages.filter((message) => message[1] === 19)
    assert.deepEqual(pongs, [Buffer.from([0, 19, 0, 5, 0, 0, 0, 0, 0])])
  })

  test("the node's warning and error are told", async (t) => {
    const complaint = (type, text) =>
      Uint8Array.from([0, type, ...new Array(32).fill(0), 0, text.length, ...Buffer.from(text)])
    const node = await start(t)
    const told = async (...messages) => {
      const client = await node.connect({ reconnect: false })
      const call = client.call('getinfo')
      messages.forEach((message) => node.peers.at(-1).send(message))
      await assert.rejects(call, { kind: 'lost-outcome-unknown' })
      return client.status.error.message
    }
    assert.equal(
      await told(complaint(1, 'careful'), complaint(17, 'go\naway')),
      'the node says: go away; before that it said: careful',
    )
    assert.match(await told(Uint8Array.of(0x40, 0)), /messages of type 16384/)
  })

  test('a node that says no init, or nothing at all, is given up after 15 s', async (t) => {
    const node = await start(t, { init: null })
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
    const attempt = node.connect()
    attempt.catch(() => {})
    const real = Promise.allSettled([attempt])
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    t.mock.timers.tick(15_000)
    await real
    await assert.rejects(attempt, { kind: 'no-connection', message: 'it does not answer' })
  })

  test('a connection that fell silent is noticed: a ping after 30 s, the end 15 s later', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
    const pings = []
    const node = await start(t, { message: (_, message) => message[1] === 18 && pings.push(message) })
    const client = await connected(t, node, { reconnect: false })
    const turns = async () => {
      for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    t.mock.timers.tick(29_000)
    await turns()
    assert.equal(pings.length, 0)
    t.mock.timers.tick(1_000)
    await turns()
    assert.equal(pings.length, 1)
    node.peers[0].send(Uint8Array.of(0, 19, 0, 0))
    await turns()
    t.mock.timers.tick(29_999)
    await turns()
    assert.deepEqual([client.status.state, pings.length], ['connected', 1])
    t.mock.timers.tick(1)
    await turns()
    assert.equal(pings.length, 2)
    t.mock.timers.tick(15_000)
    await turns()
    assert.equal(client.status.state, 'closed')
    assert.equal(client.status.error.message, 'it no longer answers')
  })

  test('without reconnection a lost connection is the end', async (t) => {
    const node = await start(t)
    const client = await connected(t, node, { reconnect: false })
    const sent = client.call('pay')
    await until('the request', () => node.peers[0].messages.length > 1)
    const heard = []
    client.addEventListener('status', () => heard.push(client.status))
    node.peers[0].raw.destroy()
    await assert.rejects(sent, { kind: 'lost-outcome-unknown' })
    await assert.rejects(client.call('pay'), { kind: 'lost-not-sent', mayHaveRun: false })
    assert.deepEqual(
      heard.map(({ state, error }) => [state, error.kind]),
      [['closed', 'no-connection']],
    )
  })

  test('a request whose sending was cut goes out again, whole, and one that was sent does not', async (t) => {
    const requests = []
    const node = await start(t, { request: (peer, request) => (requests.push(request), ok(peer, request)) })
    const client = await connected(t, node)
    node.peers[0].raw.pause()
    // They fill the socket: the first ones are sent, the last ones wait, and one is sent in part.
    const calls = Array.from({ length: 12 }, (_, number) => client.call(`m${number}`, { text: 'x'.repeat(1_000_000) }))
    const ended = Promise.allSettled(calls)
    node.peers[0].raw.destroy()
    const outcomes = (await within(20, 'the calls', ended)).map(({ status, reason }) => reason?.kind ?? status)
    const lost = outcomes.indexOf('fulfilled')
    assert.ok(lost > 0 && lost < 12, `${outcomes}`)
    assert.deepEqual(outcomes, [...Array(lost).fill('lost-outcome-unknown'), ...Array(12 - lost).fill('fulfilled')])
    const methods = requests.map((request) => request.json?.method)
    assert.deepEqual(
      methods.slice(lost - 12),
      Array.from({ length: 12 - lost }, (_, at) => `m${lost + at}`),
    )
    assert.equal(methods.includes(undefined), false)
  })

  test('nobody there: connect fails at once, a client goes on trying, and a call says that nothing was sent', async (t) => {
    const node = await start(t, { request: ok })
    await node.stop()
    await assert.rejects(connect(node.uri), { kind: 'no-connection', message: /ECONNREFUSED/ })
    await assert.rejects(connect(node.wsUri), { kind: 'no-connection', message: /ECONNREFUSED/ })
    const client = new Client(node.uri)
    t.after(() => client.close())
    await assert.rejects(client.call('pay', {}, { timeout: 50 }), { kind: 'timed-out', mayHaveRun: false })
    const call = client.call('pay')
    await node.up()
    assert.deepEqual(await within(10, 'the call', call), {})
  })

  test('what is not a WebSocket', async (t) => {
    const server = http.createServer((_, response) => response.end('hello'))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address()
    const id = nodeIdOf(generateKey())
    await assert.rejects(connect(`commando+ws://127.0.0.1:${port}?pubkey=${id}`), {
      kind: 'no-connection',
      message: /web server \(200\)/,
    })
    await assert.rejects(connect(`commando+wss://127.0.0.1:${port}?pubkey=${id}`), { kind: 'no-connection' })
  })

  test('closing ends the calls, each with what is true of it', async (t) => {
    const node = await start(t)
    const client = await connected(t, node)
    const call = client.call('pay')
    client.close()
    client.close()
    await assert.rejects(call, { kind: 'lost-outcome-unknown', message: /the client was closed/ })
    await assert.rejects(client.call('pay'), { kind: 'lost-not-sent' })
    assert.deepEqual(client.status, { state: 'closed' })
    await until('the end of the connection', () => node.streams.size === 0)
  })

  test('a signal ends connecting, and what was connected', async (t) => {
    const node = await start(t, { init: null })
    await assert.rejects(node.connect({ signal: AbortSignal.abort('no') }), { kind: 'aborted', cause: 'no' })
    const stop = new AbortController()
    const attempt = node.connect({ signal: stop.signal })
    await until('the connection', () => node.peers.length > 0)
    stop.abort()
    await assert.rejects(attempt, { kind: 'aborted' })

    const other = await start(t)
    const later = new AbortController()
    const client = await connected(t, other, { signal: later.signal })
    later.abort()
    assert.equal(client.status.state, 'closed')
  })

  test('IPv6', async (t) => {
    const node = await start(t, { request: ok })
    const server = net.createServer((stream) => {
      const onward = net.connect(node.port, '127.0.0.1')
      stream.pipe(onward).pipe(stream)
      for (const end of [stream, onward]) end.on('error', () => (stream.destroy(), onward.destroy()))
    })
    await new Promise((resolve) => server.listen(0, '::1', resolve))
    t.after(() => server.close())
    const { port } = server.address()
    for (const uri of [`${node.nodeId}@[::1]:${port}`, `commando+ws://[::1]:${port}?pubkey=${node.nodeId}`]) {
      const client = await connect(uri)
      assert.deepEqual(await client.call('getinfo'), {})
      client.close()
    }
  })
})

describe('pairing', () => {
  const answer = {
    rune: 'own=',
    unique_id: '7',
    node_id: '02ab',
    name: 'my phone',
    restrictions: ['method=getinfo'],
    restrictions_as_english: 'method equal to getinfo',
    expires_at: 1797779040,
  }
  const claims = (script) => ({
    request: (peer, request) => {
      assert.equal(request.json.method, 'runeward-pair')
      assert.equal(request.json.rune, 'offer=')
      script(peer, request)
    },
  })

  test('trades the rune of the offer for one of its own', async (t) => {
    let params
    const node = await start(
      t,
      claims((peer, request) => ((params = request.json.params), ok(peer, request, JSON.stringify(answer)))),
    )
    const key = generateKey()
    const pairing = await pair(`${node.wsUri}&rune=offer%3D`, { name: 'my phone', key })
    assert.deepEqual(params, { name: 'my phone' })
    assert.deepEqual(pairing, {
      uri: `${node.wsUri}&rune=own=`,
      key,
      rune: 'own=',
      uniqueId: '7',
      nodeId: '02ab',
      name: 'my phone',
      restrictions: ['method=getinfo'],
      restrictionsAsEnglish: 'method equal to getinfo',
      expiresAt: 1797779040,
    })
    assert.equal(node.peers[0].nodeId, nodeIdOf(key))
    for (const uri of [`${node.wsUri}&rune=offer%3D`, encodeURIComponent(`${node.wsUri}&rune=offer=`)]) {
      const { uri: own } = await pair(` http://127.0.0.1:1/some/page#pair=${uri}\n`, { name: 'my phone', key })
      assert.equal(own, pairing.uri)
    }
    const { key: made } = await pair(`lnlink:${node.nodeId}@127.0.0.1:${node.port}?token=offer=`)
    assert.equal(node.peers.at(-1).nodeId, nodeIdOf(made))
  })

  test('asks again where the answer was lost, with the same key', async (t) => {
    let asked = 0
    const node = await start(
      t,
      claims((peer, request) => (++asked < 3 ? peer.raw.destroy() : ok(peer, request, JSON.stringify(answer)))),
    )
    assert.equal((await within(20, 'the rune', pair(`${node.uri}?rune=offer=`))).rune, 'own=')
    assert.equal(new Set(node.peers.map(({ nodeId }) => nodeId)).size, 1)
    assert.equal(asked, 3)
  })

  test('takes no for an answer', async (t) => {
    const error = { code: 19537, message: 'Invalid rune: this offer has been claimed by another device' }
    const node = await start(
      t,
      claims((peer, request) => peer.reply(request, JSON.stringify({ error }))),
    )
    await assert.rejects(pair(`${node.uri}?rune=offer=`), { kind: 'refused-by-rune', message: error.message })
    await until('the end of the connection', () => node.streams.size === 0)
  })
})

test('keys stay as long as their store, and are forgotten', async () => {
  const keys = new KeyStore()
  const key = await keys.key()
  assert.deepEqual(await keys.key(), key)
  assert.notDeepEqual(await keys.key('another'), key)
  await keys.forget()
  assert.notDeepEqual(await keys.key(), key)
  assert.equal(nodeIdOf(key).length, 66)
})
