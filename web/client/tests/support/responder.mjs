// The other side of BOLT 8, for tests: what a node does, in the same state machine that the client is built on.
import { concat } from '../../dist/bytes.js'
import { HandshakeState, NoiseError, Opener, Sealer, checkVersion, generateKey, publicKey } from '../../dist/noise.js'

export class Responder {
  #state
  #secret
  #ephemeral

  constructor(secret, ephemeral = generateKey()) {
    this.#secret = secret
    this.#ephemeral = ephemeral
    this.#state = new HandshakeState(publicKey(secret))
  }

  /** Answers act two. */
  readActOne(act) {
    if (act.length !== 50) throw new NoiseError('short read')
    checkVersion(act)
    this.#receiveEphemeral(act.subarray(1, 34))
    this.#state.open(0, act.subarray(34))
    const point = publicKey(this.#ephemeral)
    this.#state.mixHash(point)
    this.#state.mixKey(this.#ephemeral, this.peerEphemeral)
    return concat([Uint8Array.of(0), point, this.#state.seal(0)])
  }

  readActThree(act) {
    if (act.length !== 66) throw new NoiseError('short read')
    checkVersion(act)
    const peer = this.#state.open(1, act.subarray(1, 50))
    this.#state.mixKey(this.#ephemeral, peer)
    this.#state.open(0, act.subarray(50))
    const [receiving, sending, chainingKey] = this.#state.split()
    return { peer, sealer: new Sealer(sending, chainingKey), opener: new Opener(receiving, chainingKey) }
  }

  #receiveEphemeral(point) {
    this.#state.mixHash(point)
    this.#state.mixKey(this.#secret, point)
    this.peerEphemeral = point.slice()
  }
}
