import { toHex } from './bytes.js'
import { generateKey, publicKey } from './noise.js'

/** The node id that a secret key of 32 bytes gives: 66 hexadecimal digits. */
export function nodeIdOf(key: Uint8Array): string {
  return toHex(publicKey(key))
}

/**
 * Secret keys that stay: in IndexedDB where there is one, for pages of the same origin alone; elsewhere only as long as
 * this object does, so there make a key with {@link generateKey} and keep it yourself.
 *
 * @example
 * ```js
 * import { connect, KeyStore } from '@runeward/client'
 *
 * const keys = new KeyStore()
 * const client = await connect(uri, { key: await keys.key() }) // the same node id at each visit
 * client.close()
 * await keys.forget() // and from now on another
 * ```
 */
export class KeyStore {
  readonly #database: string
  readonly #memory = new Map<string, Uint8Array>()

  /** `database`: the IndexedDB database to use. */
  constructor(database = 'runeward') {
    this.#database = database
  }

  /** The key of this name, which is made where there is none yet; two pages that ask at once get the same. */
  async key(name = 'default'): Promise<Uint8Array> {
    const fresh = generateKey()
    if (typeof indexedDB === 'undefined') {
      const key = this.#memory.get(name) ?? fresh
      this.#memory.set(name, key)
      return key.slice()
    }
    let key = fresh
    await this.#change((store) => {
      const found = store.get(name)
      found.onsuccess = () => {
        if (found.result === undefined) store.put(fresh, name)
        else key = found.result as Uint8Array
      }
    })
    return key
  }

  /** Wipes the key of this name. What is bound to it can be used no more. */
  async forget(name = 'default'): Promise<void> {
    this.#memory.get(name)?.fill(0)
    this.#memory.delete(name)
    if (typeof indexedDB !== 'undefined') await this.#change((store) => store.delete(name))
  }

  /** Makes a change that happens whole or not at all. */
  async #change(change: (store: IDBObjectStore) => void): Promise<void> {
    const opening = indexedDB.open(this.#database, 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore(KEYS)
    await new Promise((resolve, reject) => {
      opening.onsuccess = resolve
      opening.onerror = () => reject(opening.error)
    })
    const database = opening.result
    try {
      const transaction = database.transaction(KEYS, 'readwrite')
      change(transaction.objectStore(KEYS))
      await new Promise((resolve, reject) => {
        transaction.oncomplete = resolve
        transaction.onabort = () => reject(transaction.error)
      })
    } finally {
      database.close()
    }
  }
}

const KEYS = 'keys'
