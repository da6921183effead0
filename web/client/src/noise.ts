// BOLT 8, the initiator's side: Noise_XK_secp256k1_ChaChaPoly_SHA256. Bytes in, bytes out.
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concat } from './bytes.js'

/** Sizes of the acts, in bytes. */
export const ACT_ONE = 50
export const ACT_TWO = 50
export const ACT_THREE = 66
/** A sealed length: 2 bytes and a tag. */
export const SEALED_LENGTH = 18
/** What sealing adds to a message's body. */
export const TAG = 16
/** Longest message, in bytes. */
export const MAX_MESSAGE = 65_535

/** Keys rotate after this many uses; a message takes two. */
const ROTATION = 1000
const VERSION = 0
const NOTHING = new Uint8Array()

/** The peer is not who it should be, or does not speak BOLT 8. Close: nothing after it can be trusted. */
export class NoiseError extends Error {}

/** A new secret key: 32 bytes. */
export function generateKey(): Uint8Array {
  return secp256k1.utils.randomSecretKey()
}

export function isKey(key: Uint8Array): boolean {
  return secp256k1.utils.isValidSecretKey(key)
}

/** The node id of a secret key: 33 bytes. */
export function publicKey(key: Uint8Array): Uint8Array {
  return secp256k1.getPublicKey(key, true)
}

/** Whether these are a node id: a compressed point that is on the curve. */
export function isNodeId(bytes: Uint8Array): boolean {
  return bytes.length === 33 && secp256k1.utils.isValidPublicKey(bytes, true)
}

/** What both sides of a handshake compute alike (BOLT 8 §Handshake State). */
export class HandshakeState {
  #hash: Uint8Array
  #chainingKey: Uint8Array
  #key: Uint8Array = NOTHING

  constructor(responder: Uint8Array) {
    const text = new TextEncoder()
    this.#chainingKey = sha256(text.encode('Noise_XK_secp256k1_ChaChaPoly_SHA256'))
    this.#hash = sha256(concat([this.#chainingKey, text.encode('lightning')]))
    this.mixHash(responder)
  }

  mixHash(data: Uint8Array): void {
    this.#hash = sha256(concat([this.#hash, data]))
  }

  /** Mixes in the secret that `secret` and the point `peer` share. */
  mixKey(secret: Uint8Array, peer: Uint8Array): void {
    let shared
    try {
      shared = secp256k1.getSharedSecret(secret, peer, true)
    } catch (cause) {
      throw new NoiseError('its key is no point on the curve', { cause })
    }
    ;[this.#chainingKey, this.#key] = derive(this.#chainingKey, sha256(shared))
  }

  /** Encrypts under the nonce `n` with the hash so far, and mixes in the result. */
  seal(n: number, plain: Uint8Array = NOTHING): Uint8Array {
    const sealed = cipher(this.#key, n, this.#hash).encrypt(plain)
    this.mixHash(sealed)
    return sealed
  }

  open(n: number, sealed: Uint8Array): Uint8Array {
    const plain = opened(cipher(this.#key, n, this.#hash), sealed)
    this.mixHash(sealed)
    return plain
  }

  /** The keys of both directions: the initiator sends under the first. */
  split(): [Uint8Array, Uint8Array, chainingKey: Uint8Array] {
    return [...derive(this.#chainingKey, NOTHING), this.#chainingKey]
  }
}

/** The handshake as the side that called. */
export class Initiator {
  /** To be sent first. */
  readonly actOne: Uint8Array
  readonly #state: HandshakeState
  readonly #key: Uint8Array
  readonly #ephemeral: Uint8Array

  /** `key`: our secret; `nodeId`: whom we call, 33 bytes; `ephemeral`: given by tests alone. */
  constructor(key: Uint8Array, nodeId: Uint8Array, ephemeral: Uint8Array = generateKey()) {
    const point = publicKey(ephemeral)
    this.#key = key
    this.#ephemeral = ephemeral
    this.#state = new HandshakeState(nodeId)
    this.#state.mixHash(point)
    this.#state.mixKey(ephemeral, nodeId)
    this.actOne = concat([Uint8Array.of(VERSION), point, this.#state.seal(0)])
  }

  /** Reads the 50 bytes of act two. What it answers is to be sent; then messages follow. */
  readActTwo(act: Uint8Array): { actThree: Uint8Array; sealer: Sealer; opener: Opener } {
    const point = act.subarray(1, 34)
    checkVersion(act)
    this.#state.mixHash(point)
    this.#state.mixKey(this.#ephemeral, point)
    this.#state.open(0, act.subarray(34))

    const sealed = this.#state.seal(1, publicKey(this.#key))
    this.#state.mixKey(this.#key, point)
    const actThree = concat([Uint8Array.of(VERSION), sealed, this.#state.seal(0)])
    const [sending, receiving, chainingKey] = this.#state.split()
    return { actThree, sealer: new Sealer(sending, chainingKey), opener: new Opener(receiving, chainingKey) }
  }
}

export function checkVersion(act: Uint8Array): void {
  if (act[0] !== VERSION) throw new NoiseError(`it speaks version ${act[0]} of the handshake in place of ${VERSION}`)
}

/** A key with its count of uses, which rotates (BOLT 8 §Lightning Message Key Rotation). */
abstract class Rotating {
  #key: Uint8Array
  #chainingKey: Uint8Array
  #uses = 0

  constructor(key: Uint8Array, chainingKey: Uint8Array) {
    this.#key = key
    this.#chainingKey = chainingKey
  }

  protected next() {
    if (this.#uses === ROTATION) {
      ;[this.#chainingKey, this.#key] = derive(this.#chainingKey, this.#key)
      this.#uses = 0
    }
    return cipher(this.#key, this.#uses++)
  }
}

/** Makes messages for the wire. */
export class Sealer extends Rotating {
  /** One message out of parts, at most {@link MAX_MESSAGE} bytes together. */
  seal(...parts: Uint8Array[]): Uint8Array {
    const message = concat(parts)
    const length = this.next().encrypt(Uint8Array.of(message.length >> 8, message.length & 0xff))
    return concat([length, this.next().encrypt(message)])
  }
}

/** Reads messages from the wire: first the {@link SEALED_LENGTH} bytes of a length, then so many and a {@link TAG}. */
export class Opener extends Rotating {
  length(sealed: Uint8Array): number {
    const plain = opened(this.next(), sealed)
    return (plain[0]! << 8) | plain[1]!
  }

  body(sealed: Uint8Array): Uint8Array {
    return opened(this.next(), sealed)
  }
}

function derive(chainingKey: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  const both = hkdf(sha256, input, chainingKey, NOTHING, 64)
  return [both.slice(0, 32), both.slice(32)]
}

/** `n` is far below 2^32: keys rotate. */
function cipher(key: Uint8Array, n: number, associated?: Uint8Array) {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setUint32(4, n, true)
  return chacha20poly1305(key, nonce, associated)
}

function opened(cipher: { decrypt(sealed: Uint8Array): Uint8Array }, sealed: Uint8Array): Uint8Array {
  try {
    return cipher.decrypt(sealed)
  } catch (cause) {
    throw new NoiseError('what it sent is not sealed under our keys', { cause })
  }
}
