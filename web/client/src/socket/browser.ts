// The WebSocket of browsers and workers.
import { HIGH_WATER, type Dial } from './socket.js'

/** It tells nobody when its buffer empties, so we look this often, in milliseconds. */
const LOOK = 10

/** Opens a WebSocket; to an address that names TCP too, as gateways take both on one port. */
export const dial: Dial = ({ transport, host, port }, events) => {
  const webSocket = new WebSocket(`${transport === 'wss' ? 'wss' : 'ws'}://${host}:${port}/`)
  webSocket.binaryType = 'arraybuffer'
  const full = () => webSocket.bufferedAmount > HIGH_WATER
  let looking: ReturnType<typeof setInterval> | undefined
  const end = (why: string) => {
    clearInterval(looking)
    webSocket.onopen = webSocket.onmessage = webSocket.onclose = null
    events.ended(why)
  }
  webSocket.onopen = () => events.opened()
  webSocket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (typeof data !== 'string') return events.data(new Uint8Array(data))
    webSocket.close()
    end('it sends text, which no node does')
  }
  // What exactly failed is kept from pages: the console has it.
  webSocket.onclose = ({ code, reason }) => end(`the WebSocket closed (${code}${reason && `, ${reason}`})`)
  return {
    write(bytes) {
      webSocket.send(bytes as Uint8Array<ArrayBuffer>)
      looking ??= full() ? setInterval(look, LOOK) : undefined
    },
    get full() {
      return full()
    },
    pause() {},
    resume() {},
    close() {
      clearInterval(looking)
      webSocket.onopen = webSocket.onmessage = webSocket.onclose = null
      webSocket.close()
    },
  }

  function look() {
    if (full()) return
    clearInterval(looking)
    looking = undefined
    events.drained()
  }
}
