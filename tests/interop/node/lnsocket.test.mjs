// npm `lnsocket`: C compiled to WebAssembly. It speaks TCP, or WebSocket where the global `WebSocket` exists.
// Every request of it has the message id 0 and the JSON id "d0", so its answers can only be told apart by their order.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { WebSocket as NodeWebSocket } from 'ws'
import { Gateway, within } from './gateway.mjs'

const lnsocket = createRequire(import.meta.url)('lnsocket')

class BrowserWebSocket extends NodeWebSocket {
  constructor(url) {
    super(url)
    this.binaryType = 'blob'
  }
}

async function connected(gateway, transport) {
  globalThis.WebSocket = transport === 'ws' ? BrowserWebSocket : undefined
  const ln = await lnsocket()
  gateway.farewells.push(() => ln.destroy())
  ln.genkey()
  const address = `${gateway.host}:${gateway.port}`
  await within(20, 'connect and init', ln.connect_and_init(gateway.nodeId, transport === 'ws' ? `ws://${address}` : address))
  return ln
}

for (const transport of ['tcp', 'ws']) {
  describe(`lnsocket over ${transport}`, { timeout: 120_000 }, () => {
    test('runs commands and gets their errors', async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const rune = await gateway.rune()
      for (const method of ['getinfo', 'listpeers', 'no-such-method', 'getinfo']) {
        const reply = await within(20, method, ln.rpc({ method, rune }))
        assert.deepEqual(reply, { ...(await gateway.askNode(method)), id: 'd0' })
      }
      assert.deepEqual(await within(20, 'the refusal', ln.rpc({ method: 'getinfo', rune: await gateway.rune('method=pay') })), {
        error: { code: 19537, message: 'Invalid rune: Not permitted: method is not equal to pay' },
      })
    })

    test('gets a pong for its ping', async (t) => {
      const gateway = await Gateway.start(t)
      const ln = await connected(gateway, transport)
      const pong = await within(20, 'the pong', ln.ping_pong())
      assert.deepEqual([...pong], [0, 19, 0, 1, 0], 'type 19, one byte as asked')
      assert.ok((await within(20, 'getinfo', ln.rpc({ method: 'getinfo', rune: await gateway.rune() }))).result)
    })

    test('reads a reply of several parts', async (t) => {
      const gateway = await Gateway.start(t, { demoChannels: 260 })
      const ln = await connected(gateway, transport)
      const reply = await within(30, 'listchannels', ln.rpc({ method: 'listchannels', rune: await gateway.rune() }))
      assert.deepEqual(reply, { ...(await gateway.askNode('listchannels')), id: 'd0' })
    })

    test('is answered in the order it asked, a long reply before a short one', async (t) => {
      const gateway = await Gateway.start(t, { demoChannels: 260 })
      const ln = await connected(gateway, transport)
      const rune = await gateway.rune()
      const methods = ['listchannels', 'getinfo', 'listchannels', 'no-such-method', 'listpeers']
      for (const method of methods) ln.write(ln.make_commando_msg({ method, rune }))
      for (const method of methods) {
        const reply = JSON.parse(await within(30, method, ln.read_all_rpc()))
        assert.deepEqual(reply, { ...(await gateway.askNode(method)), id: 'd0' }, method)
      }
    })
  })
}
