// A node id as three words, for people to compare two screens by.
import { sha256 } from '@noble/hashes/sha2.js'
import words from '../../../../gateway/src/gate/words.txt?raw'

/** The words for the first three bytes of the SHA-256 of the node id's 33 bytes, as the gateway shows them. */
export function fingerprint(nodeId: string): string {
  const bytes = Uint8Array.from(nodeId.match(/../g) ?? [], (pair) => parseInt(pair, 16))
  // Not the browser's own: a page on http has none.
  const hash = sha256(bytes)
  const list = words.trim().split('\n')
  return [...hash.subarray(0, 3)].map((byte) => list[byte]).join(' ')
}
