// What stands in a connection string. Whether it is a good one, the client says.

/** The node id, lower case; empty where there is none. */
export function pubkeyOf(uri: string): string {
  const found = /(?:[?&]pubkey=|^\s*lnlink:|^\s*|:\/\/)([0-9a-f]{66})(?:@|&|\s|$)/i.exec(uri)
  return found?.[1]?.toLowerCase() ?? ''
}

/** The rune; `undefined` where there is none. */
export function runeOf(uri: string): string | undefined {
  const found = /[?&](?:rune|token)=([^&\s]+)/.exec(uri)
  try {
    return found?.[1] && decodeURIComponent(found[1])
  } catch {
    return undefined
  }
}

/** Host and port: where it leads, for people. */
export function placeOf(uri: string): string {
  return /(?:@|:\/\/)([^/?@]+)(?:[/?]|$)/.exec(uri.trim())?.[1] ?? ''
}

/** Whether this is a rune without an address: base64url of at least its 32 bytes of authentication code. */
export function isRune(text: string): boolean {
  return /^[A-Za-z0-9_-]{43,}={0,2}$/.test(text) && !/^[0-9a-f]{66}$/i.test(text)
}

/** The connection string in what was pasted, scanned or opened: bare, or behind `#pair=` or `#connect=` in a link. */
export function unwrap(text: string): { kind: 'pair' | 'connect'; uri: string } {
  const link = /^https?:\/\/[^#]*#(pair|connect)=(.+)$/.exec(text.trim())
  if (link === null) return { kind: 'connect', uri: text.trim() }
  return { kind: link[1] as 'pair' | 'connect', uri: whole(link[2]!) }
}

/** Undoes the encoding of a connection string that was encoded as a whole. */
export function whole(text: string): string {
  if (!/^[a-z]+(%2b[a-z]+|\+[a-z]+)?%3a/i.test(text)) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
