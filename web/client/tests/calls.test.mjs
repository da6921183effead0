// What becomes of calls, before a node that does what the test tells it to.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, generateKey, nodeIdOf, RunewardError } from '@runeward/client'
import { within } from '../../../tests/interop/node/gateway.mjs'
import { connected, ok, start } from './support/node.mjs'

describe('errors', () => {
  for (const [error, expected] of [
    [
      { code: 19536, message: 'Missing rune' },
      { kind: 'refused-by-rune', mayHaveRun: false, code: 19536 },
    ],
    [
      { code: 19536, message: 'Invalid rune' },
      { kind: 'refused-by-rune', mayHaveRun: false },
    ],
    [
      { code: 19536, message: 'Request too large' },
      { kind: 'refused-by-node', mayHaveRun: false, code: 19536 },
    ],
    [
      { code: 19537, message: 'Invalid rune: x' },
      { kind: 'refused-by-rune', mayHaveRun: false, message: 'Invalid rune: x', code: 19537 },
    ],
    [
      { code: 19540, message: 'the node is away' },
      { kind: 'lost-not-sent', mayHaveRun: false, message: 'the node is away' },
    ],
    [
      { code: 19541, message: 'lost' },
      { kind: 'lost-outcome-unknown', mayHaveRun: true },
    ],
    [
      { code: 19542, message: 'busy', data: { retry_after_ms: 250, limit: 'calls' } },
      { kind: 'refused-by-limit', mayHaveRun: false, retryAfter: 250 },
    ],
    [
      { code: 19542, message: 'busy' },
      { kind: 'refused-by-limit', retryAfter: 1000 },
    ],
    [
      { code: 19543, message: 'shutting down' },
      { kind: 'lost-not-sent', mayHaveRun: false },
    ],
    [
      { code: 19544, message: 'revoked' },
      { kind: 'refused-by-rune', mayHaveRun: true, code: 19544 },
    ],
    [
      { code: 19545, message: 'no log' },
      { kind: 'lost-not-sent', mayHaveRun: false },
    ],
    [
      { code: 19546, message: 'never' },
      { kind: 'refused-by-node', mayHaveRun: false, code: 19546 },
    ],
    [
      { code: 210, message: 'no route', data: { a: [1] } },
      { kind: 'refused-by-node', mayHaveRun: true, code: 210, data: { a: [1] } },
    ],
  ]) {
    test(`${error.code} ${error.message}`, async (t) => {
      const node = await start(t, {
        request: (peer, request) => peer.reply(request, JSON.stringify({ jsonrpc: '2.0', id: 1, error })),
      })
      const client = await connected(t, node)
      await assert.rejects(client.call('pay'), (thrown) => {
        assert.ok(thrown instanceof RunewardError && thrown.name === thrown.constructor.name)
        for (const [name, value] of Object.entries(expected)) assert.deepEqual(thrown[name], value, name)
        return true
      })
      await assert.rejects(client.stream('pay').next(), { kind: expected.kind })
    })
  }

  for (const reply of [
    '',
    'x',
    '[]',
    '{}',
    '{"result":1',
    '{"result":}',
    '{"id":1}',
    '{"result":1}}',
    '{"a"}',
    '"',
    '{"result":01x}',
    '{,}',
  ]) {
    test(`a reply that is none: ${reply}`, async (t) => {
      const node = await start(t, { request: (peer, request) => peer.reply(request, reply) })
      const client = await connected(t, node)
      await assert.rejects(within(5, 'the end', client.call('getinfo')), {
        kind: 'lost-outcome-unknown',
        mayHaveRun: true,
      })
    })
  }

  test('errors of another shape', async (t) => {
    const replies = ['{"error":"no"}', '{"error":{"message":"no"}}', '{"result":1,"error":null}']
    const node = await start(t, { request: (peer, request) => peer.reply(request, replies.shift()) })
    const client = await connected(t, node)
    await assert.rejects(client.call('a'), { kind: 'refused-by-node', code: 0, message: /: "no"$/ })
    await assert.rejects(client.call('a'), { kind: 'refused-by-node', code: 0 })
    assert.equal(await client.call('a'), 1)
  })

  test('what cannot work is refused at once', async () => {
    const id = nodeIdOf(generateKey())
    for (const [uri, message] of [
      ['', /names no node id/],
      ['commando+ws://h:1?rune=x', /names no node id/],
      ['ln-message://h:1?rune=x', /names no node id/],
      ['clnrest://h:1?&rune=x', /names no node id/],
      ['commando+ws://h:1?pubkey=02', /'02' is no node id/],
      [`commando+ws://h:1?pubkey=02${'ff'.repeat(32)}`, /is no node id/],
      [`https://h:1?pubkey=${id}`, /not known/],
      [`https://h:1/#/overview`, /not known/],
      ['https://h:1/#pair=', /names no node id/],
      ['https://h:1/#pair=%zz', /the link has a bad %-escape/],
      [`${id}@`, /'' is no host:port/],
      [`${id}@h:0`, /no host:port/],
      [`${id}@h:65536`, /no host:port/],
      [`${id}@a b:1`, /no host:port/],
      [`${id}@::1`, /no host:port/],
      [`${id}@h:1?rune=%zz`, /the value of 'rune' .* bad %-escape/],
    ]) {
      await assert.rejects(connect(uri), { kind: 'invalid', message, mayHaveRun: false }, uri)
    }
    await assert.rejects(connect(`${id}@h:1`, { key: new Uint8Array(32) }), {
      kind: 'invalid',
      message: /no secret key/,
    })
  })

  test('params that are no JSON', async (t) => {
    const client = await connected(t, await start(t))
    const loop = {}
    loop.loop = loop
    await assert.rejects(client.call('x', loop), { kind: 'invalid' })
  })
})

describe('requests and replies', () => {
  test('big integers go out with all digits and come back so as text; absent members are left out', async (t) => {
    const texts = []
    const node = await start(t, {
      request: (peer, request) => (texts.push(request.text), ok(peer, request, '{"a": 2100000000000000001, "b":1.50}')),
    })
    const client = await connected(t, node, { rune: 'one' })
    const params = { amount: 2_100_000_000_000_000_001n, none: undefined, list: [undefined, 1], at: new Date(0) }
    assert.equal(await client.call('pay', params, { text: true }), '{"a": 2100000000000000001, "b":1.50}')
    assert.equal(
      texts[0],
      '{"jsonrpc":"2.0","id":"pay#1","method":"pay","params":{"amount":2100000000000000001,"list":[null,1],"at":"1970-01-01T00:00:00.000Z"},"rune":"one"}',
    )
    await client.call('pay', undefined, { rune: 'two', filter: { a: true } })
    assert.equal(texts[1], '{"jsonrpc":"2.0","id":"pay#2","method":"pay","params":{},"rune":"two","filter":{"a":true}}')
  })

  for (const result of [
    'null',
    '0',
    'false',
    '""',
    '"}\\"]{,:"',
    '[[],{"result":{"error":1}}]',
    '{"error":{"code":1}}',
    ' { "a" : [ 1 , "é\\u00e9\\\\" ] } ',
    '1e3',
  ]) {
    test(`the result ${result}, cut anywhere`, async (t) => {
      let whole
      const node = await start(t, {
        request: (peer, request) => {
          const at = Number(request.json.method)
          const bytes = Buffer.from(whole)
          peer.reply(request, ...[bytes.subarray(0, at), bytes.subarray(at, at + 1), bytes.subarray(at + 1)])
        },
      })
      const client = await connected(t, node)
      for (whole of [
        `{"jsonrpc":"2.0","id":"a,\\"}b","result":${result}}`,
        `\n{ "result" :${result},"x":[{"result":2}],"id":{}}\n\n`,
      ]) {
        const length = Buffer.byteLength(whole)
        const texts = await Promise.all(
          Array.from({ length: length + 1 }, (_, at) => client.call(`${at}`, {}, { text: true })),
        )
        for (const text of texts) assert.equal(text.trim(), result.trim())
        assert.deepEqual(await client.call('5'), JSON.parse(result))
      }
    })
  }

  test('every call and every connection has ids of its own, and answers to others are passed over', async (t) => {
    const ids = []
    const node = await start(t, {
      request: (peer, request) => {
        ids.push(Buffer.from(request.id).toString('hex'))
        const other = Uint8Array.from(request.id)
        other[0] ^= 1
        peer.reply({ id: other }, '{"result":"of another connection"}')
        peer.reply({ id: new Uint8Array(8) }, '{"result":"of nobody"}')
        ok(peer, request, '"mine"')
        ok(peer, request, '"mine again"')
      },
    })
    for (const client of [await connected(t, node), await connected(t, node)]) {
      for (let call = 0; call < 3; call++) assert.equal(await client.call('a'), 'mine')
    }
    assert.equal(new Set(ids).size, 6)
    assert.equal(new Set(ids.map((id) => id.slice(0, 8))).size, 2)
  })

  test('a request goes in parts of 65,000 bytes; one that is aborted in between is ended so that it cannot run', async (t) => {
    const requests = []
    const parts = []
    const node = await start(t, {
      message: (peer, message) => message.length > 100 && parts.push(message.length),
      request: (peer, request) => (requests.push(request), request.json ? ok(peer, request, '1') : undefined),
    })
    const client = await connected(t, node)
    await client.call('long', { text: 'x'.repeat(200_000) })
    assert.deepEqual(parts.slice(0, 3), [65_010, 65_010, 65_010])
    assert.equal(requests[0].parts, 4)

    // Ten at once fill the socket, so that the last ones are still waiting, one of them half sent.
    node.peers[0].raw.pause()
    const stop = new AbortController()
    const all = Array.from({ length: 10 }, () =>
      client.call('long', { text: 'x'.repeat(1_000_000) }, { signal: stop.signal }),
    )
    const ended = Promise.allSettled(all)
    stop.abort()
    const kinds = (await ended).map(({ reason }) => [reason.kind, reason.mayHaveRun])
    assert.deepEqual(new Set(kinds.map(([kind]) => kind)), new Set(['aborted']))
    const unsent = kinds.filter(([, mayHaveRun]) => !mayHaveRun).length
    assert.ok(unsent > 0)
    node.peers[0].raw.resume()
    assert.equal(await within(10, 'the next call', client.call('short')), 1)
    assert.equal(node.peers[0].begun, 0)
    const whole = requests.filter((request) => request.json?.method === 'long').length
    assert.equal(whole, 1 + 10 - unsent, 'those of which it was said that they may have run, and no other')
  })

  test('a call with a timeout: counted from part to part', async (t) => {
    const node = await start(t, {
      request: async (peer, request) => {
        const send = (kind, text) =>
          peer.send(Buffer.concat([Uint8Array.of(0x59, kind), request.id, Buffer.from(text)]))
        send(0x4b, '{"result":[1')
        for (let part = 0; part < 8; part++) {
          await sleep(100)
          send(0x4b, ',1')
        }
        if (request.json.method === 'ends') send(0x4d, ']}')
      },
    })
    const client = await connected(t, node)
    assert.equal((await client.call('ends', {}, { timeout: 600 })).length, 9)
    await assert.rejects(client.call('stalls', {}, { timeout: 600 }), { kind: 'timed-out', mayHaveRun: true })
  })
})
