/** The bytes that hexadecimal digits stand for; `undefined` where it is none. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16))
}

/** Lower-case hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Bytes that come in pieces of any size and are taken in pieces of another. */
export class Inbox {
  #chunks: Uint8Array[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  /** The next `length` bytes, once they are there. */
  take(length: number): Uint8Array | undefined {
    if (this.#length < length) return undefined
    this.#length -= length
    const first = this.#chunks[0]
    if (first !== undefined && first.length >= length) return this.#cut(first, length)
    const taken = new Uint8Array(length)
    for (let at = 0; at < length;) {
      const chunk = this.#chunks[0]!
      const piece = this.#cut(chunk, Math.min(chunk.length, length - at))
      taken.set(piece, at)
      at += piece.length
    }
    return taken
  }

  /** What `take` would, left where it is. */
  peek(length: number): Uint8Array | undefined {
    const taken = this.take(length)
    if (taken !== undefined) {
      this.#chunks.unshift(taken)
      this.#length += length
    }
    return taken
  }

  /** Takes from the first chunk, which is `chunk`. */
  #cut(chunk: Uint8Array, length: number): Uint8Array {
    if (length === chunk.length) this.#chunks.shift()
    else this.#chunks[0] = chunk.subarray(length)
    return chunk.subarray(0, length)
  }
}
