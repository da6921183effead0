// The client before the real gateway, over both of its transports.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, generateKey, nodeIdOf, pair } from '@runeward/client'
import { Rune } from '@runeward/client/runes'
import { Gateway, within } from '../../../tests/interop/node/gateway.mjs'
import { startBench } from './support/bench.mjs'
import { Proxy } from './support/proxy.mjs'

const uris = {
  tcp: ({ nodeId, host, port }) => `${nodeId}@${host}:${port}`,
  ws: ({ nodeId, host, port }) => `commando+ws://${host}:${port}?pubkey=${nodeId}`,
}

for (const transport of ['tcp', 'ws']) {
  describe(`over ${transport}`, { timeout: 300_000 }, () => {
    const connected = async (t, gateway, options) => {
      const client = await connect(uris[transport](gateway), { rune: await gateway.rune(), ...options })
      t.after(() => client.close())
      return client
    }

    test('runs commands, whole or filtered, and gives their errors', async (t) => {
      const gateway = await Gateway.start(t)
      const client = await connected(t, gateway)
      const { result } = await gateway.askNode('getinfo')
      assert.deepEqual(await client.call('getinfo'), result)
      assert.deepEqual(await client.call('getinfo', {}, { filter: { id: true } }), { id: result.id })
      assert.deepEqual(JSON.parse(await client.call('getinfo', [], { text: true })), result)
      const { error } = await gateway.askNode('no-such-method')
      await assert.rejects(client.call('no-such-method'), { kind: 'refused-by-node', ...error })
      assert.equal(client.status.state, 'connected')
    })

    test('runs 1,500 calls one after another, and 1,500 at once', async (t) => {
      const gateway = await Gateway.start(t)
      const client = await connected(t, gateway)
      const ids = { filter: { id: true } }
      const { id } = await client.call('getinfo')
      for (let call = 0; call < 1500; call++) assert.deepEqual(await client.call('getinfo', {}, ids), { id })
      const answers = await Promise.all(Array.from({ length: 1500 }, () => client.call('getinfo', {}, ids)))
      assert.ok(answers.every((answer) => answer.id === id))
    })

    test('each answer finds its own call, long ones and short ones side by side', async (t) => {
      const gateway = await Gateway.start(t, { demoChannels: 260 })
      const client = await connected(t, gateway)
      const labels = Array.from({ length: 20 }, (_, number) => `side-by-side-${number}`)
      const made = await Promise.all(
        labels.map((label) => client.call('invoice', { amount_msat: 1000n, label, description: label })),
      )
      const channels = (await gateway.askNode('listchannels')).result
      const listed = await Promise.all(
        labels.flatMap((label) => [client.call('listinvoices', { label }), client.call('listchannels')]),
      )
      labels.forEach((_, at) => {
        assert.equal(listed[2 * at].invoices[0].payment_hash, made[at].payment_hash)
        assert.deepEqual(listed[2 * at + 1], channels)
      })
    })

    test('sends a request of 900 kB, and refuses one over 1 MiB itself', async (t) => {
      const gateway = await Gateway.start(t)
      const client = await connected(t, gateway)
      const text = 'é'.repeat(450_000)
      // The node's own words show that it came through whole.
      await assert.rejects(client.call('invoice', { amount_msat: 1, label: 'long', description: text }), {
        kind: 'refused-by-node',
        message: /description length 900000/,
      })
      await assert.rejects(client.call('invoice', { description: 'x'.repeat(1_048_576) }), {
        kind: 'invalid',
        mayHaveRun: false,
      })
      assert.ok((await client.call('getinfo')).id)
    })

    test('several runes on one connection: each allows what it allows', async (t) => {
      const gateway = await Gateway.start(t)
      const [info, list] = await Promise.all([gateway.rune('method=getinfo'), gateway.rune('method=listpeers')])
      const client = await connected(t, gateway, { rune: info })
      assert.ok((await client.call('getinfo')).id)
      assert.ok((await client.call('listpeers', {}, { rune: list })).peers)
      const refused = (method) => ({
        kind: 'refused-by-rune',
        code: 19537,
        mayHaveRun: false,
        message: `Invalid rune: Not permitted: method is not equal to ${method}`,
      })
      await assert.rejects(client.call('listpeers'), refused('getinfo'))
      await assert.rejects(client.call('getinfo', {}, { rune: list }), refused('listpeers'))
      await assert.rejects(client.call('getinfo', {}, { rune: 'no rune' }), { kind: 'refused-by-rune', code: 19536 })
    })

    test('runes that have expired or been revoked, and one narrowed here', async (t) => {
      const gateway = await Gateway.start(t)
      const rune = await gateway.rune()
      const client = await connected(t, gateway, { rune })
      const soon = Math.floor(Date.now() / 1000) + 2
      const short = Rune.decode(rune).narrow(`time<${soon}`).encode()
      assert.ok((await client.call('getinfo', {}, { rune: short })).id)
      await sleep(soon * 1000 - Date.now() + 50)
      await assert.rejects(client.call('getinfo', {}, { rune: short }), {
        kind: 'refused-by-rune',
        message: /time is greater or equal to/,
      })
      await gateway.run('rune', 'revoke', `${Rune.decode(rune).uniqueId}`)
      await within(
        5,
        'the revocation',
        (async () => {
          while (
            await client.call('getinfo').then(
              () => true,
              () => false,
            )
          )
            await sleep(20)
        })(),
      )
      await assert.rejects(client.call('getinfo'), { kind: 'refused-by-rune', message: /Blacklisted rune/ })
    })

    test('a rune bound to our key', async (t) => {
      const gateway = await Gateway.start(t)
      const key = generateKey()
      const rune = await gateway.rune(`id=${nodeIdOf(key)}`)
      const client = await connected(t, gateway, { rune, key })
      assert.equal(client.nodeId, nodeIdOf(key))
      assert.ok((await client.call('getinfo')).id)
      const other = await connected(t, gateway, { rune })
      await assert.rejects(other.call('getinfo'), { kind: 'refused-by-rune', message: /id is not equal to/ })
    })

    test('an aborted call ends at once, and the connection goes on', async (t) => {
      const gateway = await Gateway.start(t, { demoChannels: 260 })
      const client = await connected(t, gateway)
      const stop = new AbortController()
      const waiting = client.call('waitanyinvoice', {}, { signal: stop.signal, timeout: Infinity })
      await client.call('getinfo')
      stop.abort('enough')
      await assert.rejects(waiting, { kind: 'aborted', mayHaveRun: true, cause: 'enough' })
      await assert.rejects(client.call('getinfo', {}, { signal: stop.signal }), { kind: 'aborted', mayHaveRun: false })
      let pieces = 0
      for await (const piece of client.stream('listchannels')) {
        assert.ok(piece.length > 0)
        if (++pieces === 1) break
      }
      assert.ok((await client.call('getinfo')).id)
    })

    test('a call that takes too long', async (t) => {
      const gateway = await Gateway.start(t)
      const client = await connected(t, gateway)
      await assert.rejects(client.call('waitanyinvoice', {}, { timeout: 300 }), { kind: 'timed-out', mayHaveRun: true })
      assert.ok((await client.call('getinfo')).id)
    })

    test('a reply cut after any of its bytes settles with the right error', async (t) => {
      const gateway = await Gateway.start(t)
      const proxy = await Proxy.start(t, gateway.port)
      const uri = uris[transport]({ ...gateway, port: proxy.port, host: gateway.host, nodeId: gateway.nodeId })
      const rune = await gateway.rune()
      const attempt = async () => {
        const client = await connect(uri, { rune, reconnect: false })
        const greeted = proxy.passed
        try {
          return { greeted, result: await client.call('getinfo', {}, { filter: { id: true } }) }
        } catch (error) {
          return { greeted, error, status: client.status }
        } finally {
          client.close()
        }
      }
      const { greeted } = await attempt()
      const whole = proxy.passed
      assert.ok(whole > greeted + 100, `${whole} bytes in all, ${greeted} before the reply`)
      // With TCP at each byte, with WebSocket at every third, whose frames come atop.
      for (let limit = 0; limit <= whole; limit += transport === 'tcp' ? 1 : 3) {
        proxy.limit = limit
        const outcome = await within(
          10,
          `an end at ${limit}`,
          attempt().catch((error) => ({ error })),
        )
        if (limit < greeted) assert.equal(outcome.error?.kind, 'no-connection', `at ${limit}: ${outcome.error}`)
        else if (limit < whole) {
          assert.equal(outcome.error?.kind, 'lost-outcome-unknown', `at ${limit}: ${outcome.error}`)
          assert.equal(outcome.status.state, 'closed')
        } else assert.ok(outcome.result.id)
      }
    })

    test('a reply of many parts cut between and inside them: a call fails whole, a stream after what came', async (t) => {
      const gateway = await Gateway.start(t, { demoChannels: 260 })
      const proxy = await Proxy.start(t, gateway.port)
      const uri = uris[transport]({ host: gateway.host, port: proxy.port, nodeId: gateway.nodeId })
      const rune = await gateway.rune()
      const truth = JSON.stringify((await gateway.askNode('listchannels')).result)
      for (let limit = 60_000; limit < truth.length; limit += 9_973) {
        proxy.limit = limit
        const client = await connect(uri, { rune })
        t.after(() => client.close())
        let text = ''
        await assert.rejects(
          within(
            10,
            `an end at ${limit}`,
            (async () => {
              for await (const piece of client.stream('listchannels')) text += piece
            })(),
          ),
          { kind: 'lost-outcome-unknown', mayHaveRun: true },
        )
        assert.ok(text.length < limit && truth.startsWith(text))
        proxy.limit = Infinity
        // The connection comes back; its replies are its own, from their start.
        assert.equal(await within(10, 'the reply', client.call('listchannels', {}, { text: true })), truth)
        client.close()
      }
    })

    test('comes back after a restart; what was under way fails, what comes in between waits', async (t) => {
      const gateway = await Gateway.start(t)
      const client = await connected(t, gateway)
      const states = []
      client.addEventListener('status', () => states.push(client.status.state))
      for (let round = 0; round < 2; round++) {
        const polls = [1, 2, 3].map(() => client.call('waitanyinvoice', {}, { timeout: Infinity }))
        const ended = Promise.allSettled(polls)
        await client.call('getinfo')
        await gateway.stop(round === 0 ? 'SIGTERM' : 'SIGKILL')
        for (const { reason } of await within(5, 'the errors', ended)) assert.equal(reason.kind, 'lost-outcome-unknown')
        while (client.status.state === 'connected') await sleep(10)
        const between = client.call('getinfo')
        await gateway.up()
        assert.ok((await within(30, 'the call in between', between)).id)
      }
      assert.deepEqual([...new Set(states)].sort(), ['connected', 'connecting', 'waiting'])
    })

    test('comes back after an hour of tries that failed, none more than 30 s after the last', async (t) => {
      const gateway = await Gateway.start(t)
      const client = await connected(t, gateway)
      t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
      const turns = async (condition) => {
        while (!condition()) await new Promise((resolve) => setImmediate(resolve))
      }
      for (let round = 0; round < 2; round++) {
        await gateway.stop('SIGKILL')
        await turns(() => client.status.state === 'waiting')
        const between = client.call('getinfo', {}, { timeout: Infinity })
        const delays = []
        for (const from = Date.now(); Date.now() - from < 3_600_000;) {
          const delay = client.status.retryAt - Date.now()
          delays.push(delay)
          t.mock.timers.tick(Math.ceil(delay))
          assert.equal(client.status.state, 'connecting')
          await turns(() => client.status.state === 'waiting')
        }
        assert.ok(delays[0] <= 500 && delays[1] <= 1000 && delays[2] <= 2000, `${delays.slice(0, 3)}`)
        assert.ok(Math.max(...delays) <= 30_000 && Math.min(...delays.slice(10)) >= 15_000)
        assert.ok(delays.length > 120 && delays.length < 250, `${delays.length} tries`)
        await gateway.up()
        t.mock.timers.tick(30_000)
        assert.ok((await between).id)
        // It has held, so the next loss starts the count anew.
        t.mock.timers.tick(10_000)
      }
    })

    test('another node than the one named is not talked to', async (t) => {
      const gateway = await Gateway.start(t)
      const uri = uris[transport]({ host: gateway.host, port: gateway.port, nodeId: nodeIdOf(generateKey()) })
      await assert.rejects(connect(uri), { kind: 'no-connection', message: /another node than the one named/ })
    })
  })
}

test('wss: any certificate will do, another node will not', { timeout: 60_000 }, async (t) => {
  const gateway = await Gateway.start(t, { args: ['--tls', 'self-signed'] })
  const client = await connect(gateway.ready.uri_wss, { rune: await gateway.rune() })
  t.after(() => client.close())
  assert.ok((await client.call('getinfo')).id)
  await assert.rejects(client.call('invoice', { amount_msat: 1, label: 'long', description: 'x'.repeat(900_000) }), {
    message: /description length 900000/,
  })
  const another = gateway.ready.uri_wss.replace(gateway.nodeId, nodeIdOf(generateKey()))
  await assert.rejects(connect(another), { kind: 'no-connection', message: /another node/ })
  const plain = await Gateway.start(t)
  await assert.rejects(connect(plain.ready.uri.replace('+ws:', '+wss:')), { kind: 'no-connection' })
})

test('a device pairs, and its rune works with its key alone', { timeout: 60_000 }, async (t) => {
  const gateway = await Gateway.start(t)
  const owner = await connect(`commando+ws://${gateway.host}:${gateway.port}?pubkey=${gateway.nodeId}`, {
    rune: await gateway.rune(),
  })
  t.after(() => owner.close())
  const { uri: offer, offer_id } = await owner.call('runeward-offer', { preset: 'readonly', name: 'my phone' })
  const waiting = owner.call('runeward-waitoffer', { offer_id }, { timeout: Infinity })

  const key = generateKey()
  const pairing = await pair(offer, { name: 'something else', key })
  assert.equal(pairing.name, 'my phone', "the owner's name for it counts")
  assert.equal(pairing.nodeId, nodeIdOf(key))
  assert.ok(pairing.restrictions.includes(`id=${nodeIdOf(key)}`))
  assert.deepEqual((await pair(offer, { key })).rune, pairing.rune, 'the same key, the same rune')
  const claimed = await waiting
  assert.deepEqual([claimed.status, claimed.name, String(claimed.unique_id)], ['claimed', 'my phone', pairing.uniqueId])

  await assert.rejects(pair(offer), { kind: 'refused-by-rune', message: /claimed by another device/ })
  const device = await connect(pairing.uri, { key })
  t.after(() => device.close())
  assert.ok((await device.call('getinfo')).id)
  await assert.rejects(device.call('pay', { bolt11: 'x' }), { kind: 'refused-by-rune' })
  const thief = await connect(pairing.uri)
  t.after(() => thief.close())
  await assert.rejects(thief.call('getinfo'), { kind: 'refused-by-rune', message: /id is not equal to/ })
})

describe('a reply of 100 MB', { timeout: 300_000 }, () => {
  const SIZE = 100_000_000

  const before = async (t) => Gateway.start(t, { node: `cln:${await startBench(t, SIZE)}` })

  test('streams through flat memory', async (t) => {
    const gateway = await before(t)
    const client = await connect(uris.tcp(gateway), { rune: await gateway.rune() })
    t.after(() => client.close())
    let length = 0
    let most = 0
    const start = process.memoryUsage().rss
    for await (const piece of client.stream('listchannels')) {
      length += piece.length
      most = Math.max(most, process.memoryUsage().rss - start)
    }
    assert.equal(length, SIZE)
    assert.ok(most < 64 * 1024 * 1024, `${Math.round(most / 1024 / 1024)} MiB more than at the start`)
  })

  test('waits for a slow reader, at the sender', async (t) => {
    const gateway = await before(t)
    const proxy = await Proxy.start(t, gateway.port)
    const uri = uris.ws({ host: gateway.host, port: proxy.port, nodeId: gateway.nodeId })
    const client = await connect(uri, { rune: await gateway.rune() })
    t.after(() => client.close())
    const stream = client.stream('listchannels', {}, { timeout: 4000 })
    let length = (await stream.next()).value.length
    const began = Date.now()
    // What the kernel's buffers and ours take: then nothing more comes.
    let passed = -1
    while (passed !== proxy.passed) {
      passed = proxy.passed
      await sleep(300)
    }
    assert.ok(passed < SIZE / 4, `${passed} bytes came for a reader that took ${length}`)
    // Nearly as long as the call may go unheard, of which nothing counts: it was not the other side that was silent.
    await sleep(began + 3900 - Date.now())
    for await (const piece of stream) length += piece.length
    assert.equal(length, SIZE)
    assert.ok((await client.call('getinfo')).alias)
  })
})
