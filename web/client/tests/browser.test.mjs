// The client in headless Chromium, before the real gateway.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, generateKey, nodeIdOf } from '@runeward/client'
import { Rune } from '@runeward/client/runes'
import { Gateway, within } from '../../../tests/interop/node/gateway.mjs'
import { openBrowser, serve } from './support/browser.mjs'
import { startBench } from './support/bench.mjs'
import { Proxy } from './support/proxy.mjs'

describe('in Chromium', { timeout: 300_000 }, () => {
  const suite = { ends: [], after: (end) => suite.ends.unshift(end) }
  let browser
  let address
  let gateway
  let uri
  let page
  before(async () => {
    ;[address, browser, gateway] = await Promise.all([
      serve(suite),
      openBrowser(suite),
      Gateway.start(suite, { demoChannels: 260 }),
    ])
    uri = `commando+ws://${gateway.host}:${gateway.port}?pubkey=${gateway.nodeId}&rune=${await gateway.rune()}`
    page = await open()
  })
  after(async () => {
    for (const end of suite.ends) await end()
  })
  const open = async (url = address) => {
    const opened = await browser.newPage()
    await opened.goto(url)
    await opened.waitForFunction(() => globalThis.page !== undefined)
    return opened
  }
  /** Where the gateway is, by way of another port. */
  const through = (port) => uri.replace(`:${gateway.port}?`, `:${port}?`)

  test('all 16 vectors of BOLT 8', async () => {
    const table = JSON.parse(readFileSync(new URL('../../../tests/conformance/bolt8.json', import.meta.url)))
    const passed = await page.evaluate((table) => {
      const { vectors } = globalThis.page
      return vectors(table).map(({ name, run }) => (run(), name))
    }, table)
    assert.equal(passed.length, 16)
  })

  test('runs commands: short, long, 1,500 of them, and a request of 900 kB', async () => {
    const answers = await page.evaluate(async (uri) => {
      const { connect, outcome } = globalThis.page
      const client = await connect(uri)
      try {
        const info = await client.call('getinfo')
        const channels = await client.call('listchannels')
        for (let call = 0; call < 750; call++) await client.call('getinfo')
        const many = await Promise.all(Array.from({ length: 750 }, () => client.call('getinfo')))
        const description = 'x'.repeat(900_000)
        const long = await outcome(client.call('invoice', { amount_msat: 1, label: 'long', description }))
        return { info, channels, many: many.filter(({ id }) => id === info.id).length, long }
      } finally {
        client.close()
      }
    }, uri)
    assert.deepEqual(answers.info, (await gateway.askNode('getinfo')).result)
    assert.deepEqual(answers.channels, (await gateway.askNode('listchannels')).result)
    assert.equal(answers.many, 750)
    assert.equal(answers.long.error.kind, 'refused-by-node')
    assert.match(answers.long.error.message, /description length 900000/)
  })

  test('in a worker', async () => {
    const id = await page.evaluate(
      ([uri, script]) =>
        new Promise((resolve, reject) => {
          const code = `import('${script}').then(async () => {
            const client = await page.connect('${uri}')
            postMessage((await client.call('getinfo')).id)
            client.close()
          }).catch((error) => postMessage('failed: ' + error))`
          const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), {
            type: 'module',
          })
          worker.onmessage = ({ data }) => resolve(data)
          worker.onerror = ({ message }) => reject(new Error(message))
        }),
      [uri, `${address}script.js`],
    )
    assert.equal(id, (await gateway.askNode('getinfo')).result.id)
  })

  test('several runes on one connection, one expired, one revoked', async () => {
    const [info, list, dead] = await Promise.all([
      gateway.rune('method=getinfo'),
      gateway.rune('method=listpeers'),
      gateway.rune(),
    ])
    const expired = Rune.decode(info).narrow('time<5').encode()
    await gateway.run('rune', 'revoke', Rune.decode(dead).uniqueId)
    await sleep(500)
    const outcomes = await page.evaluate(
      async ([uri, info, list, expired, dead]) => {
        const { connect, outcome } = globalThis.page
        const client = await connect(uri, { rune: info })
        const calls = [
          client.call('getinfo'),
          client.call('listpeers'),
          ...[list, expired, dead].map((rune) => client.call('listpeers', {}, { rune })),
        ]
        const outcomes = await Promise.all(calls.map(outcome))
        client.close()
        return outcomes
      },
      [uri, info, list, expired, dead],
    )
    assert.ok(outcomes[0].result.id && outcomes[2].result.peers)
    for (const [at, message] of [
      [1, /not equal to getinfo/],
      [3, /time is greater or equal|not equal to getinfo/],
      [4, /Blacklisted/],
    ]) {
      assert.equal(outcomes[at].error.kind, 'refused-by-rune')
      assert.match(outcomes[at].error.message, message)
    }
  })

  test('a reply cut at any point settles with the right error', async (t) => {
    const proxy = await Proxy.start(t, gateway.port)
    const attempt = () =>
      page.evaluate(async (uri) => {
        const { connect, outcome } = globalThis.page
        const connected = await outcome(connect(uri, { reconnect: false }))
        if (connected.error) return { error: connected.error }
        const client = connected.result
        try {
          return await outcome(client.call('getinfo', {}, { filter: { id: true } }))
        } finally {
          client.close()
        }
      }, through(proxy.port))
    assert.ok((await attempt()).result.id)
    const whole = proxy.passed
    const kinds = []
    for (let limit = 0; limit < whole; limit += 11) {
      proxy.limit = limit
      kinds.push((await within(10, `an end at ${limit}`, attempt())).error.kind)
    }
    const connected = kinds.indexOf('lost-outcome-unknown')
    assert.ok(connected > 10 && kinds.length - connected > 10, `${kinds}`)
    assert.ok(
      kinds.every((kind, at) => kind === (at < connected ? 'no-connection' : 'lost-outcome-unknown')),
      `${kinds}`,
    )
  })

  test('abort, and a time limit', async () => {
    const outcomes = await page.evaluate(async (uri) => {
      const { connect, outcome } = globalThis.page
      const client = await connect(uri)
      const stop = new AbortController()
      const polls = [
        client.call('waitanyinvoice', {}, { signal: stop.signal }),
        client.call('waitanyinvoice', {}, { timeout: 200 }),
        client.call('waitanyinvoice', {}, { signal: AbortSignal.timeout(200) }),
      ]
      await client.call('getinfo')
      stop.abort()
      const outcomes = await Promise.all(polls.map(outcome))
      client.close()
      return outcomes
    }, uri)
    assert.deepEqual(
      outcomes.map(({ error }) => [error.kind, error.mayHaveRun]),
      [
        ['aborted', true],
        ['timed-out', true],
        ['aborted', true],
      ],
    )
  })

  test('comes back after a restart', async (t) => {
    const own = await Gateway.start(t)
    const rune = await own.rune()
    const states = page.evaluate(async (uri) => {
      const { connect, outcome } = globalThis.page
      const client = await connect(uri)
      const states = []
      client.addEventListener('status', () => states.push(client.status.state))
      const poll = await outcome(client.call('waitanyinvoice', {}, { timeout: Infinity }))
      const { id } = await client.call('getinfo')
      client.close()
      return { kind: poll.error.kind, id, states }
    }, `commando+ws://${own.host}:${own.port}?pubkey=${own.nodeId}&rune=${rune}`)
    await sleep(500)
    await own.stop('SIGKILL')
    await sleep(300)
    await own.up()
    const { kind, id, states: seen } = await within(30, 'the call after the restart', states)
    assert.equal(kind, 'lost-outcome-unknown')
    assert.ok(id)
    assert.ok(seen.includes('waiting') && seen.includes('connecting') && seen.includes('connected'))
  })

  test('100 MB stream through flat memory; a reader that stops is given up within bounds', async (t) => {
    const own = await Gateway.start(t, { node: `cln:${await startBench(t, 100_000_000)}` })
    const rune = await own.rune()
    const measured = await page.evaluate(async (uri) => {
      const { connect } = globalThis.page
      let received = 0
      globalThis.WebSocket = class extends WebSocket {
        constructor(url) {
          super(url)
          this.addEventListener('message', ({ data }) => (received += data.byteLength))
        }
      }
      const client = await connect(uri)
      const heap = () => performance.memory.usedJSHeapSize
      const start = heap()
      let [length, most] = [0, 0]
      for await (const piece of client.stream('listchannels')) {
        length += piece.length
        most = Math.max(most, heap() - start)
      }
      const slow = client.stream('listchannels')
      await slow.next()
      // Takes nothing more until all has come.
      while (received < 2 * length) await new Promise((resolve) => setTimeout(resolve, 20))
      let [taken, kind] = [0, undefined]
      try {
        for await (const piece of slow) taken += piece.length
      } catch (error) {
        kind = error.kind
      }
      const { alias } = await client.call('getinfo')
      client.close()
      return { length, most, taken, kind, alias }
    }, `commando+ws://${own.host}:${own.port}?pubkey=${own.nodeId}&rune=${rune}`)
    assert.equal(measured.length, 100_000_000)
    assert.ok(measured.most < 96 * 1024 * 1024, `${measured.most} bytes`)
    assert.equal(measured.kind, 'lost-outcome-unknown')
    assert.ok(measured.taken <= 64 * 1024 * 1024, `${measured.taken} bytes waited`)
    assert.ok(measured.alias)
  })

  test('keys stay over a reload, are the same on two pages, and are forgotten', async () => {
    const nodeId = (from) =>
      from.evaluate(async () => globalThis.page.nodeIdOf(await new globalThis.page.KeyStore().key()))
    const [one, other] = await Promise.all([open(), open()])
    const ids = await Promise.all([nodeId(one), nodeId(other), nodeId(one)])
    assert.equal(new Set(ids).size, 1)
    await one.reload()
    await one.waitForFunction(() => globalThis.page !== undefined)
    assert.equal(await nodeId(one), ids[0])
    await one.evaluate(() => new globalThis.page.KeyStore().forget())
    assert.notEqual(await nodeId(other), ids[0])
    await Promise.all([one.close(), other.close()])
  })

  test('pairing: a page gets a rune for the key it keeps', async (t) => {
    const owner = await connect(uri)
    t.after(() => owner.close())
    const offer = await owner.call('runeward-offer', { preset: 'readonly' })
    const paired = await page.evaluate(async (offer) => {
      const { connect, KeyStore, outcome, pair } = globalThis.page
      const keys = new KeyStore('paired')
      const { uri, name } = await pair(offer, { name: 'my page', key: await keys.key() })
      const client = await connect(uri, { key: await keys.key() })
      const info = await client.call('getinfo')
      const refused = await outcome(client.call('pay', { bolt11: 'x' }))
      client.close()
      const again = await outcome(pair(offer))
      await keys.forget()
      return { name, nodeId: client.nodeId, id: info.id, refused, again }
    }, offer.uri)
    assert.equal(paired.id, (await gateway.askNode('getinfo')).result.id)
    assert.deepEqual([paired.refused.error.kind, paired.again.error.kind], ['refused-by-rune', 'refused-by-rune'])
    const claimed = await owner.call('runeward-waitoffer', { offer_id: offer.offer_id })
    assert.deepEqual([claimed.status, claimed.name, claimed.node_id], ['claimed', 'my page', paired.nodeId])
  })

  test('what a page may not open is no connection, not an exception', async () => {
    const outcome = await page.evaluate(
      (id) => globalThis.page.outcome(globalThis.page.connect(`commando+ws://127.0.0.1:1?pubkey=${id}`)),
      nodeIdOf(generateKey()),
    )
    assert.equal(outcome.error.kind, 'no-connection')
  })
})
