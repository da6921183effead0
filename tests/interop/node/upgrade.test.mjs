// Node's own HTTP client, for what WebSocket libraries disagree on: how headers are spelled, and which path is asked for.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import { test } from 'node:test'
import { Gateway, within } from './gateway.mjs'

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11' // RFC 6455 §1.3

function upgrade({ host, port }, path, headers) {
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(key + WEBSOCKET_GUID).digest('base64')
  const request = http.get({ host, port, path, headers: { 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key, ...headers } })
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', ({ statusCode }) => reject(new Error(`no upgrade: ${statusCode}`)))
    request.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ headers: response.headers, accept })
    })
  })
}

test('the upgrade takes every spelling and path, and answers as strict clients demand', { timeout: 60_000 }, async (t) => {
  const gateway = await Gateway.start(t)
  for (const [path, headers] of [
    ['/', { Connection: 'Upgrade', Upgrade: 'websocket' }],
    [`/127.0.0.1:${gateway.port}`, { connection: 'keep-alive, UPGRADE', upgrade: 'WebSocket' }],
    ['/any/path?and=query', { CONNECTION: 'upgrade', UPGRADE: 'websocket', Origin: 'https://wallet.example' }],
  ]) {
    const answer = await within(10, `the upgrade of ${path}`, upgrade(gateway, path, headers))
    // Some clients compare the whole value of `Connection`, so nothing may stand beside it.
    assert.equal(answer.headers.connection.toLowerCase(), 'upgrade')
    assert.equal(answer.headers.upgrade.toLowerCase(), 'websocket')
    assert.equal(answer.headers['sec-websocket-accept'], answer.accept)
    assert.equal(answer.headers['sec-websocket-extensions'], undefined)
  }
})
