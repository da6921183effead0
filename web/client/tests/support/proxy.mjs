// A proxy that cuts every connection after so many bytes from the server.
import { once } from 'node:events'
import net from 'node:net'

export class Proxy {
  /** Bytes from the server that each connection lets through before it is cut. */
  limit = Infinity
  /** Bytes from the server that the last connection let through. */
  passed = 0
  #server
  #streams = new Set()

  static async start(t, port) {
    const proxy = new Proxy()
    proxy.#server = net.createServer((client) => proxy.#serve(client, net.connect(port, '127.0.0.1')))
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    proxy.port = proxy.#server.address().port
    t.after(() => (proxy.cut(), proxy.#server.close()))
    return proxy
  }

  cut() {
    this.#streams.forEach((stream) => stream.destroy())
  }

  #serve(client, server) {
    let left = this.limit
    this.passed = 0
    for (const stream of [client, server]) {
      this.#streams.add(stream)
      stream.setNoDelay(true)
      stream.on('error', () => {})
      stream.on('close', () => {
        this.#streams.delete(stream)
        client.destroy()
        server.destroy()
      })
    }
    client.pipe(server)
    server.on('data', (bytes) => {
      const part = bytes.subarray(0, left)
      left -= part.length
      this.passed += part.length
      if (!client.write(part)) {
        server.pause()
        client.once('drain', () => server.resume())
      }
      if (left === 0) client.end()
    })
    if (left === 0) client.end()
  }
}
