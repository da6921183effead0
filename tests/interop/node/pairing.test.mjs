// npm `lnmessage` with a private key it keeps: a client of today takes up what a pairing QR code offers.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import LnMessage from 'lnmessage'
import { Gateway, within } from './gateway.mjs'

async function connected(gateway, uri, privateKey) {
  const ln = new LnMessage({
    remoteNodePublicKey: uri.searchParams.get('pubkey'),
    ip: uri.hostname,
    port: Number(uri.port),
    wsProtocol: 'ws:',
    privateKey,
  })
  gateway.farewells.push(() => ln.disconnect())
  assert.equal(await within(20, 'connect', ln.connect()), true)
  return ln
}

test('lnmessage claims an offer, and its rune serves it alone', { timeout: 120_000 }, async (t) => {
  const gateway = await Gateway.start(t)
  const pairing = gateway.pair('--name', 'wallet', '--restrict', 'method=getinfo')
  const offer = await pairing.next()
  // All a device knows is what the QR code says. (The scheme is read as one that URL knows.)
  const uri = new URL(offer.uri.replace('commando+ws:', 'ws:'))
  const pairingRune = uri.searchParams.get('rune')
  const [key, otherKey] = [randomBytes(32), randomBytes(32)].map((bytes) => bytes.toString('hex'))

  const ln = await connected(gateway, uri, key)
  await assert.rejects(within(20, 'the refusal', ln.commando({ method: 'getinfo', rune: pairingRune })), { code: 19537 })
  const got = await within(20, 'the claim', ln.commando({ method: 'runeward-pair', params: { name: 'x' }, rune: pairingRune }))
  assert.equal(got.name, 'wallet')
  const claimed = await pairing.next()
  assert.deepEqual(
    [claimed.status, claimed.name, claimed.node_id, claimed.unique_id],
    ['claimed', 'wallet', got.node_id, got.unique_id],
  )
  const info = await within(20, 'getinfo', ln.commando({ method: 'getinfo', rune: got.rune }))
  assert.deepEqual(info, (await gateway.askNode('getinfo')).result)
  ln.disconnect()

  // The key kept, the rune goes on working; another key gets neither it nor another.
  const again = await connected(gateway, uri, key)
  assert.equal((await within(20, 'the same rune', again.commando({ method: 'runeward-pair', rune: pairingRune }))).rune, got.rune)
  await within(20, 'getinfo', again.commando({ method: 'getinfo', rune: got.rune }))
  const other = await connected(gateway, uri, otherKey)
  await assert.rejects(within(20, 'the refusal', other.commando({ method: 'getinfo', rune: got.rune })), { code: 19537 })
  await assert.rejects(within(20, 'the refusal', other.commando({ method: 'runeward-pair', rune: pairingRune })), {
    code: 19537,
    message: /claimed by another device/,
  })
})
