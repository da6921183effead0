// `make bench`: the same calls straight to a node's socket and through the gateway, side by side.
// The node is runeward-bench's own, at a set cost per call, so that the difference is the gateway's.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const [binaries, seconds = '5'] = process.argv.slice(2)
const LIGHTNINGD_GETINFO_US = 35
const SHAPES = [
  { connections: 1, inFlight: 1 },
  { connections: 1, inFlight: 16 },
  { connections: 16, inFlight: 1 },
  { connections: 16, inFlight: 16 },
]

const dir = mkdtempSync(join(tmpdir(), 'runeward-bench-'))
const children = []
process.on('exit', () => {
  children.forEach((child) => child.kill('SIGKILL'))
  rmSync(dir, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

function start(name, ...args) {
  const child = spawn(join(binaries, name), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (text) => (log = (log + text).slice(-4000)))
  child.on('exit', (code) => console.error(`${name} ${args[0]} ended: ${code}\n${log}`))
  children.push(child)
  return child
}

async function run(name, args, env = {}) {
  const { stdout } = await promisify(execFile)(join(binaries, name), args, { env: { ...process.env, ...env } })
  return stdout.trim()
}

async function startNode(name, ...args) {
  const socket = join(dir, `${name}.sock`)
  start('runeward-bench', 'node', socket, ...args)
  for (let tries = 0; !existsSync(socket); tries++) {
    if (tries === 200) throw new Error('the node did not start within 10 s')
    await sleep(50)
  }
  return socket
}

async function startGateway(socket) {
  const state = ['--state-dir', `${socket}.state`]
  const child = start('runeward', 'serve', '--node', `cln:${socket}`, ...state, '--listen', '127.0.0.1:0', '--ready-json')
  const line = await Promise.race([
    new Promise((resolve) => child.stdout.once('data', (text) => resolve(JSON.parse(text)))),
    sleep(20_000).then(() => Promise.reject(new Error('the gateway was not ready within 20 s'))),
  ])
  const rune = await run('runeward', ['rune', 'create', ...state])
  return { uri: line.uri, pid: child.pid, rune }
}

async function measure(args, { connections, inFlight }, env) {
  const shape = ['--connections', `${connections}`, '--in-flight', `${inFlight}`, '--seconds', seconds, '--json']
  return JSON.parse(await run('runeward-bench', [...args, ...shape], env))
}

const direct = (socket, shape) => measure(['direct', socket], shape)
const through = ({ uri, rune, pid }, shape, ...more) =>
  measure(['load', uri, '--server-pid', `${pid}`, ...more], shape, { RUNEWARD_RUNE: rune })

const print = (what, ...cells) => console.log(what.padEnd(26) + cells.map((cell) => `${cell ?? '-'}`.padStart(11)).join(''))
const report = (what, { connections, inFlight }, m) =>
  print(what, connections, inFlight, Math.round(m.calls_per_s), m.p50_us, m.p99_us, m.p999_us, m.errors, m.server_cpu_us)

print('', 'peers', 'in flight', 'calls/s', 'p50 µs', 'p99 µs', 'p99.9 µs', 'errors', 'CPU µs')
for (const cost of [0, LIGHTNINGD_GETINFO_US]) {
  const socket = await startNode(`cost-${cost}`, '--cost-us', `${cost}`)
  const gateway = await startGateway(socket)
  for (const shape of SHAPES) {
    report(`node of ${cost} µs, direct`, shape, await direct(socket, shape))
    report(`node of ${cost} µs, gateway`, shape, await through(gateway, shape))
  }
}

const large = await startGateway(await startNode('large', '--reply-bytes', `${100 * 1024 * 1024}`))
const one = { connections: 1, inFlight: 1 }
const result = await through(large, one, '--method', 'listchannels')
report('100 MB replies, gateway', one, result)
const grown = (result.server_rss_peak_kb - result.server_rss_before_kb) / 1024
console.log(`Its memory grew by ${grown.toFixed(1)} MB meanwhile.`)
console.log(await run('runeward-bench', ['runes']))
children.forEach((child) => child.removeAllListeners('exit'))
process.exit(0)
