// Side by side with npm `lnmessage`, before the same gateway: rounds in turn, so that both meet the same machine.
// `npm run compare`; RUNEWARD_BIN names a gateway that was built for release.
import { gzipSync } from 'node:zlib'
import net from 'node:net'
import { connect } from '@runeward/client'
import { build } from 'esbuild'
import LnMessage from 'lnmessage'
import { Gateway } from '../../../tests/interop/node/gateway.mjs'

const ROUNDS = 7
const HANDSHAKES = 20
const CALLS = 500

const ends = []
const gateway = await Gateway.start({ after: (end) => ends.push(end) })
const rune = await gateway.rune()
const { host, port, nodeId } = gateway

const ours = (transport) => async () => {
  const client = await connect(
    transport === 'ws' ? `commando+ws://${host}:${port}?pubkey=${nodeId}` : `${nodeId}@${host}:${port}`,
    { rune },
  )
  return { call: () => client.call('getinfo'), close: () => client.close() }
}
const theirs = (transport) => async () => {
  const tcpSocket = transport === 'tcp' ? new net.Socket() : undefined
  const ln = new LnMessage({ remoteNodePublicKey: nodeId, ip: host, port, wsProtocol: 'ws:', tcpSocket })
  await ln.connect(false)
  return { call: () => ln.commando({ method: 'getinfo', rune }), close: () => ln.disconnect() }
}

/** Milliseconds that `run` takes. */
async function timed(run) {
  const start = performance.now()
  await run()
  return performance.now() - start
}

async function round(open) {
  const clients = []
  const handshake =
    (await timed(async () => {
      for (let made = 0; made < HANDSHAKES; made++) clients.push(await open())
    })) / HANDSHAKES
  const [client, ...others] = clients
  others.forEach((other) => other.close())
  const sequential = await timed(async () => {
    for (let call = 0; call < CALLS; call++) await client.call()
  })
  const pipelined = await timed(() => Promise.all(Array.from({ length: CALLS }, () => client.call())))
  client.close()
  return { handshake, sequential: (CALLS / sequential) * 1000, pipelined: (CALLS / pipelined) * 1000 }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
for (const transport of ['ws', 'tcp']) {
  const rounds = { '@runeward/client': [], lnmessage: [] }
  const open = { '@runeward/client': ours(transport), lnmessage: theirs(transport) }
  for (let number = 0; number <= ROUNDS; number++) {
    for (const [name, results] of Object.entries(rounds)) {
      const result = await round(open[name])
      // The first one warms up.
      if (number > 0) results.push(result)
    }
  }
  for (const [name, results] of Object.entries(rounds)) {
    const of = (key, digits = 0) => median(results.map((result) => result[key])).toFixed(digits)
    console.log(
      `${transport} ${name}: handshake ${of('handshake', 2)} ms, ${of('sequential')} calls/s one by one, ${of('pipelined')} calls/s at once`,
    )
  }
}

for (const [name, code] of [
  ['@runeward/client', "export { connect } from '@runeward/client'"],
  ['lnmessage', "export { default } from 'lnmessage'"],
]) {
  const options = { bundle: true, minify: true, format: 'esm', platform: 'browser', write: false, logLevel: 'error' }
  const { outputFiles } = await build({ stdin: { contents: code, resolveDir: import.meta.dirname }, ...options })
  const [{ contents }] = outputFiles
  console.log(`${name}: ${contents.length} bytes for a browser, ${gzipSync(contents, { level: 9 }).length} gzipped`)
}
for (const end of ends) await end()
process.exit()
