// The processes of a run: nodes, gateways before them, and the load generator.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const PATIENCE_MS = 60_000

// The limits on strangers must not be what is measured.
const CONFIG = `[limits]
connections = 20000
connections_per_address = 20000
handshakes_per_second = 1000000
handshakes_per_second_per_address = 1000000
`

export class System {
  #binaries
  #dir = mkdtempSync(join(tmpdir(), 'runeward-bench-'))
  #config = join(this.#dir, 'runeward.toml')
  #children = new Set()
  #count = 0

  constructor(binaries) {
    this.#binaries = binaries
    writeFileSync(this.#config, CONFIG)
    process.on('exit', () => {
      this.#children.forEach((child) => child.kill('SIGKILL'))
      rmSync(this.#dir, { recursive: true, force: true })
    })
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
  }

  // One run of the load generator: its report. `rune` goes by the environment.
  async bench(args, rune) {
    const env = { ...process.env, ...(rune && { RUNEWARD_RUNE: rune }) }
    const options = { env, maxBuffer: 1 << 24 }
    const bench = join(this.#binaries, 'runeward-bench')
    const { stdout, stderr } = await promisify(execFile)(bench, [...args, '--json'], options)
    if (stderr) process.stderr.write(`runeward-bench ${args[0]}: ${stderr}`)
    return JSON.parse(stdout)
  }

  // A node that spends so much processor time on a call: its socket.
  async node(costUs) {
    const socket = join(this.#dir, `node-${this.#count++}.sock`)
    this.#start('runeward-bench', ['node', socket, '--cost-us', `${costUs}`])
    for (const started = Date.now(); !existsSync(socket); await sleep(5)) {
      if (Date.now() > started + PATIENCE_MS) throw new Error('the node did not start')
    }
    return socket
  }

  // A gateway before a node, on a state directory of its own unless one is given.
  async gateway(socket, state = join(this.#dir, `state-${this.#count++}`)) {
    const where = ['--node', `cln:${socket}`, '--state-dir', state, '--listen', '127.0.0.1:0']
    const before = performance.now()
    const child = this.#start('runeward', ['serve', ...where, '--config', this.#config, '--ready-json'])
    const line = await Promise.race([
      new Promise((resolve) => child.stdout.once('data', (text) => resolve(JSON.parse(text)))),
      sleep(PATIENCE_MS, null, { ref: false }).then(() => Promise.reject(new Error('the gateway was not ready in time'))),
    ])
    const readyMs = performance.now() - before
    return {
      readyMs,
      state,
      pid: `${child.pid}`,
      ws: line.uri,
      tcp: line.uri.replace('commando+ws:', 'commando+tcp:'),
      database: join(state, 'runeward.db'),
      rssKb: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]),
      rune: async (...restrictions) => {
        const flags = restrictions.flatMap((restriction) => ['--restrict', restriction])
        const create = ['rune', 'create', '--force', '--state-dir', state, ...flags]
        return (await promisify(execFile)(join(this.#binaries, 'runeward'), create)).stdout.trim()
      },
      stop: () => this.#stop(child),
    }
  }

  #start(name, args) {
    const child = spawn(join(this.#binaries, name), args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let log = ''
    child.stderr.on('data', (text) => (log = (log + text).slice(-4000)))
    child.once('exit', (code) => {
      if (this.#children.delete(child)) throw new Error(`${name} ${args[0]} ended: ${code}\n${log}`)
    })
    this.#children.add(child)
    return child
  }

  async #stop(child) {
    this.#children.delete(child)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
}
