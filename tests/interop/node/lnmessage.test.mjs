// npm `lnmessage`: the client of the web wallets, over both of its transports.
import assert from 'node:assert/strict'
import net from 'node:net'
import { describe, test } from 'node:test'
import LnMessage from 'lnmessage'
import { Gateway, within } from './gateway.mjs'

const PONG = 19
const REPLY_CONTINUES = 0x594b

async function connected(gateway, transport) {
  const ln = new LnMessage({
    remoteNodePublicKey: gateway.nodeId,
    ip: gateway.host,
    port: gateway.port,
    wsProtocol: 'ws:',
    tcpSocket: transport === 'tcp' ? new net.Socket() : undefined,
  })
  gateway.farewells.push(() => ln.disconnect())
  assert.equal(await within(20, 'connect', ln.connect()), true)
  return ln
}

const status = (ln, wanted) =>
  new Promise((resolve) => ln.connectionStatus$.subscribe((now) => now === wanted && resolve()))

/** The types of the messages that arrive from now on. */
function messageTypes(ln) {
  const types = []
  ln.decryptedMsgs$.subscribe((bytes) => types.push(bytes.readUInt16BE(0)))
  return types
}

const message = (ln, type) =>
  new Promise((resolve) => ln.decryptedMsgs$.subscribe((bytes) => bytes.readUInt16BE(0) === type && resolve()))

for (const transport of ['ws', 'tcp']) {
  describe(`lnmessage over ${transport}`, { timeout: 300_000 }, () => {
    test('runs getinfo', async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const info = await within(20, 'getinfo', ln.commando({ method: 'getinfo', rune: await gateway.rune() }))
      assert.deepEqual(info, (await gateway.askNode('getinfo')).result)
    })

    test("gets the node's error for an unknown method, and a refusal for one its rune does not allow", async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const { error } = await gateway.askNode('no-such-method')
      await assert.rejects(within(20, 'its error', ln.commando({ method: 'no-such-method', rune: await gateway.rune() })), error)
      await assert.rejects(
        within(20, 'the refusal', ln.commando({ method: 'getinfo', rune: await gateway.rune('method=listpeers') })),
        { code: 19537, message: 'Invalid rune: Not permitted: method is not equal to listpeers' },
      )
    })

    test('runs 20 calls side by side, each answered with its own', async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const rune = await gateway.rune()
      const labels = Array.from({ length: 20 }, (_, i) => `side-by-side-${i}`)
      const made = await within(
        30,
        '20 invoices',
        Promise.all(
          labels.map((label) =>
            ln.commando({ method: 'invoice', params: { amount_msat: 1000, label, description: label }, rune }),
          ),
        ),
      )
      assert.equal(new Set(made.map((invoice) => invoice.payment_hash)).size, 20)
      const listed = await within(
        30,
        '20 lists',
        Promise.all(labels.map((label) => ln.commando({ method: 'listinvoices', params: { label }, rune }))),
      )
      assert.deepEqual(
        listed.map(({ invoices }) => invoices.map(({ label, payment_hash }) => ({ label, payment_hash }))),
        labels.map((label, i) => [{ label, payment_hash: made[i].payment_hash }]),
      )
    })

    // A demo channel is listed twice, about 400 bytes each.
    for (const { size, demoChannels } of [
      { size: 180_000, demoChannels: 260 },
      { size: 5_000_000, demoChannels: 7_000 },
    ]) {
      test(`reads a reply of ${size} bytes`, async (t) => {
        const gateway = await Gateway.start(t, { demoChannels })
        const ln = await connected(gateway, transport)
        const types = messageTypes(ln)
        const reply = await within(60, 'listchannels', ln.commando({ method: 'listchannels', rune: await gateway.rune() }))
        const length = JSON.stringify(reply).length
        assert.ok(length >= size && length < 2 * size, `a reply of ${length} bytes`)
        const parts = types.filter((type) => type === REPLY_CONTINUES).length
        assert.ok(parts >= Math.floor(length / 65_000), `${parts} parts before the last`)
        assert.deepEqual(reply, (await gateway.askNode('listchannels')).result)
      })
    }

    test('runs 1,500 calls on one connection, across key rotations', async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const rune = await gateway.rune()
      const { result } = await gateway.askNode('getinfo')
      for (let call = 0; call < 1500; call++) {
        assert.deepEqual(await within(20, `call ${call}`, ln.commando({ method: 'getinfo', rune })), result)
      }
    })

    test('is answered, pings included, while a long poll waits', async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const rune = await gateway.rune()
      let waited = false
      ln.commando({ method: 'waitanyinvoice', params: { timeout: 3600 }, rune }).finally(() => (waited = true)).catch(() => {})
      await within(20, 'getinfo', ln.commando({ method: 'getinfo', rune }))
      const pong = message(ln, PONG)
      // What its timer calls after 40 s; it hangs up unless answered within 5.
      ln._sendPingMessage()
      await within(5, 'the pong', pong)
      assert.equal(waited, false)
    })

    test('comes back by itself after a restart, its calls in flight ended with an error', async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const rune = await gateway.rune()
      await within(20, 'getinfo', ln.commando({ method: 'getinfo', rune }))
      for (const round of [1, 2]) {
        const polls = [1, 2, 3].map(() => ln.commando({ method: 'waitanyinvoice', params: { timeout: 3600 }, rune }))
        const ended = Promise.allSettled(polls)
        // Answered after the polls were sent on the same connection: they are in flight.
        await within(20, 'getinfo', ln.commando({ method: 'getinfo', rune }))

        const dropped = status(ln, 'waiting_reconnect')
        const began = Date.now()
        assert.equal(await gateway.stop('SIGTERM'), 0, 'exit status')
        for (const { reason } of await within(5, 'the errors of the calls in flight', ended)) {
          assert.equal(reason?.code, 19541, `round ${round}: ${JSON.stringify(reason)}`)
        }
        await within(5, 'the drop', dropped)
        await gateway.up()
        assert.ok(Date.now() - began < 5000, `a restart took ${Date.now() - began} ms`)

        // It tries again 1, 2, 4, 7 and 11 s after the drop.
        await within(15, 'its reconnection', status(ln, 'connected'))
        const info = await within(20, 'getinfo', ln.commando({ method: 'getinfo', rune }))
        assert.deepEqual(info, (await gateway.askNode('getinfo')).result)
      }
    })
  })
}
