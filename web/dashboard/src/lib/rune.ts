// What a rune allows, in words. What reads runes is loaded when it is first needed.
import { runeOf } from './uri'

/** Sentences, for the rune in a connection string; none where there is no rune or it cannot be read. */
export async function allows(uri: string): Promise<string[]> {
  const text = runeOf(uri)
  if (text === undefined) return []
  const { Rune } = await import('@runeward/client/runes')
  try {
    return Rune.decode(text).explain()
  } catch {
    return []
  }
}

/** Whether the rune in a connection string is an offer's, which serves to be exchanged for another and for nothing else. */
export async function isOffer(uri: string): Promise<boolean> {
  const text = runeOf(uri)
  if (text === undefined) return false
  const { Rune } = await import('@runeward/client/runes')
  try {
    return Rune.decode(text).restrictions.some((restriction) => restriction.toString() === 'method=runeward-pair')
  } catch {
    return false
  }
}
