// The gateway under test: the built binary, started as a user would start it, on a port and a state directory of its own.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const binary = process.env.RUNEWARD_BIN ?? fileURLToPath(new URL('../../../target/debug/runeward', import.meta.url))
const execute = promisify(execFile)
const running = new Set()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** Fails with `what` unless `promise` settles within `seconds`. */
export async function within(seconds, what, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${seconds} s: ${what}`)), seconds * 1000)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

export class Gateway {
  host = '127.0.0.1'
  port = 0
  /** What to do before it is stopped for good: a client cut off would try to come back. */
  farewells = []
  stateDir = mkdtempSync(join(tmpdir(), 'runeward-'))
  #args
  #child
  #exited
  #stderr = ''

  /**
   * Starts a gateway before a demo node, or before the `node` given as on the command line; `t` (a test or suite context
   * with `after`) stops it whatever happens.
   */
  static async start(t, { demoChannels = 0, node = 'demo', args = [] } = {}) {
    if (!existsSync(binary)) throw new Error(`${binary} is missing: run \`make test\`, or set RUNEWARD_BIN`)
    const gateway = new Gateway()
    gateway.#args = ['--node', node, ...(demoChannels ? ['--demo-channels', `${demoChannels}`] : []), ...args]
    t.after(async () => {
      gateway.farewells.forEach((farewell) => farewell())
      await gateway.stop('SIGKILL')
      rmSync(gateway.stateDir, { recursive: true, force: true })
    })
    await gateway.up()
    return gateway
  }

  /** Starts it, after `stop` again on the port it had. */
  async up() {
    const child = spawn(
      binary,
      ['serve', '--state-dir', this.stateDir, '--listen', `${this.host}:${this.port}`, '--ready-json', ...this.#args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    this.#child = child
    running.add(child)
    child.stderr.on('data', (text) => (this.#stderr = (this.#stderr + text).slice(-8000)))
    this.#exited = new Promise((resolve) =>
      child.on('exit', (code, signal) => {
        running.delete(child)
        resolve(code ?? signal)
      }),
    )
    const line = new Promise((resolve, reject) => {
      let text = ''
      child.on('error', reject)
      child.stdout.on('data', (more) => {
        text += more
        if (text.includes('\n')) resolve(text.split('\n', 1)[0])
      })
      this.#exited.then((how) => reject(new Error(`runeward ended (${how}) before it was ready:\n${this.#stderr}`)))
    })
    this.ready = JSON.parse(await within(30, 'the ready line', line))
    this.nodeId = this.ready.node_id
    this.port = Number(this.ready.listen[0].split(':').at(-1))
  }

  /** Ends it and answers its exit status (or the signal that killed it). */
  async stop(signal = 'SIGTERM') {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal)
    return within(15, `exit on ${signal}`, this.#exited)
  }

  /** A rune from the command line, beside the running daemon. */
  async rune(...restrictions) {
    return this.run('rune', 'create', ...restrictions.flatMap((restriction) => ['--restrict', restriction]))
  }

  /** What a command of two words prints, run beside the daemon. */
  async run(...args) {
    const { stdout } = await execute(binary, [...args.slice(0, 2), '--state-dir', this.stateDir, ...args.slice(2)])
    return stdout.trim()
  }

  /** An offer from the command line: what it says happens, as an iterator of objects. Stopped with the gateway. */
  pair(...args) {
    const child = spawn(binary, ['pair', '--json', '--state-dir', this.stateDir, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    running.add(child)
    child.on('exit', () => running.delete(child))
    this.farewells.push(() => child.kill('SIGKILL'))
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    return { next: async () => JSON.parse((await within(30, 'what happens next', lines.next())).value) }
  }

  /** What the node behind the gateway answers on its own socket: the truth to compare with. */
  async askNode(method, params = {}) {
    const socket = net.connect(join(this.stateDir, 'lightning-rpc'))
    socket.write(JSON.stringify({ jsonrpc: '2.0', id: 'direct', method, params }))
    const parts = []
    const reply = (async () => {
      for await (const part of socket) {
        parts.push(part)
        // Each reply of a node ends with an empty line.
        if (part.subarray(-2).toString() === '\n\n') return JSON.parse(Buffer.concat(parts))
      }
      throw new Error(`the node hung up on ${method}`)
    })()
    try {
      return await within(30, `the node's own answer to ${method}`, reply)
    } finally {
      socket.destroy()
    }
  }
}
