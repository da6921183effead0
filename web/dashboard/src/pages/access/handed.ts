import { pubkeyOf } from '../../lib/uri'

/** How another client gets to the same node with another rune: by the address we use ourselves. */
export function withRune(own: string, rune: string): string {
  const [, scheme, place] = /^\s*(commando\+[a-z]+):\/\/([^/?@]+)/.exec(own) ?? []
  if (scheme === undefined) return `lnlink:${pubkeyOf(own)}@${/@([^?]+)/.exec(own)?.[1] ?? ''}?token=${rune}`
  return `${scheme}://${place}?pubkey=${pubkeyOf(own)}&rune=${rune}`
}
