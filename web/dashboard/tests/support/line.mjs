// A line to a gateway that can be cut, or made to swallow what comes back.
import { once } from 'node:events'
import net from 'node:net'

export class Line {
  /** Whether the answers are swallowed. */
  deaf = false
  /** Whether nobody is let in. */
  closed = false
  #server
  #streams = new Set()

  static async start(t, port) {
    const line = new Line()
    line.#server = net.createServer((client) => line.#serve(client, port))
    line.#server.listen(0, '127.0.0.1')
    await once(line.#server, 'listening')
    line.port = line.#server.address().port
    t.after(() => (line.cut(), line.#server.close()))
    return line
  }

  cut() {
    this.#streams.forEach((stream) => stream.destroy())
  }

  #serve(client, port) {
    if (this.closed) return client.destroy()
    const server = net.connect(port, '127.0.0.1')
    for (const stream of [client, server]) {
      this.#streams.add(stream)
      stream.on('error', () => {})
      stream.on('close', () => {
        this.#streams.delete(stream)
        client.destroy()
        server.destroy()
      })
    }
    client.pipe(server)
    server.on('data', (bytes) => this.deaf || client.write(bytes))
  }
}
