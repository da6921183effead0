// BOLT 8 appendix A, from the table that the gateway's own implementation is tested against.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromHex, toHex } from '../dist/bytes.js'
import { isKey, isNodeId, publicKey } from '../dist/noise.js'
import { vectors } from './support/vectors.mjs'

const table = JSON.parse(readFileSync(new URL('../../../tests/conformance/bolt8.json', import.meta.url)))

test('there are 16 vectors', () => assert.equal(vectors(table).length, 16))
for (const { name, run } of vectors(table)) test(name, run)

test('node ids and keys', () => {
  const { initiator, responder } = table
  for (const { secret, node_id } of [initiator, responder]) assert.equal(toHex(publicKey(fromHex(secret))), node_id)
  assert.ok(isNodeId(fromHex(responder.node_id)))
  for (const bad of [
    '',
    '02',
    responder.node_id.replace(/^02/, '04'),
    `02${'ff'.repeat(32)}`,
    `${responder.node_id}00`,
  ]) {
    assert.ok(!isNodeId(fromHex(bad)), bad)
  }
  assert.ok(!isKey(new Uint8Array(32)) && !isKey(new Uint8Array(31).fill(1)) && !isKey(new Uint8Array(32).fill(255)))
})
