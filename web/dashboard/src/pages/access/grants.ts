// What was handed out, as the gateway tells it.
import { Rune } from '@runeward/client/runes'
import type { Node } from '../../lib/node.svelte'
import { presetNamed } from './presets'

/** A rune that was issued. Times are UNIX seconds. */
export interface Grant {
  unique_id: number
  name: string | null
  preset: string | null
  restrictions: string[]
  created_at: number
  expires_at: number | null
  last_used: number | null
  uses: number
  /** The only caller it serves, 66 hexadecimal digits. */
  bound_peer: string | null
  status: 'live' | 'expired' | 'revoked'
}

/** The grants, those used last first. */
export async function grants(node: Node): Promise<Grant[]> {
  const { grants } = await node.call<{ grants: Grant[] }>('runeward-grants')
  const at = (grant: Grant) => grant.last_used ?? grant.created_at
  return grants.sort((a, b) => at(b) - at(a))
}

export function nameOf(grant: Grant): string {
  return grant.name ?? `Rune ${grant.unique_id}`
}

/** A rune of nobody's: 32 bytes of zeros for an authentication code, and a unique id. */
const NOBODYS = btoa(`${'\0'.repeat(32)}=0`)

/** What restrictions (each `field=value|…`) allow together, in sentences. */
export function sentences(restrictions: readonly string[], preset: string | null = null): string[] {
  const known = presetNamed(preset)
  // Its commands are many; the preset says what they come to.
  const rest = known === undefined || known.name === 'admin' ? restrictions : restrictions.slice(1)
  const own = Rune.decode(NOBODYS).narrow(...rest)
  const told = rest.length === 0 && known !== undefined ? [] : own.explain()
  return known === undefined ? told : [`It can ${known.text}.`, ...told.filter((line) => line !== 'Every command.')]
}

/** The same in one line, without whom it is bound to. */
export function summary(grant: Grant): string {
  const rest = grant.restrictions.filter((restriction) => !/^(id=|time<)/.test(restriction))
  try {
    const told = sentences(rest, grant.preset).join(' ')
    return told === '' ? 'Every command.' : told
  } catch {
    return rest.join(' & ')
  }
}
