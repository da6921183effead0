// Integers as runes write them, with the limits that the node's have.

const I64 = [-(2n ** 63n), 2n ** 63n - 1n] as const
export const [MIN, MAX] = I64
/** What C's `isspace` is true of. */
const WHITE_SPACE = /^[ \t\n\v\f\r]+/

/** An integer that `<` and `>` compare with: white space may lead, nothing may trail. */
export function integer(value: string): bigint | undefined {
  const text = value.replace(WHITE_SPACE, '')
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined
  const number = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', ''))
  return number >= MIN && number <= MAX ? number : undefined
}

/** An integer in decimal without sign or leading zeros, below 2^64: one spelling each. */
export function canonical(text: string): bigint | undefined {
  if (!/^(0|[1-9][0-9]{0,19})$/.test(text)) return undefined
  const number = BigInt(text)
  return number < 2n ** 64n ? number : undefined
}

/** The number a value starts with, from 1 to 2^32 - 2, and what follows it. */
export function count(value: string): [bigint, string] | undefined {
  const [, digits, rest] = /^\+?([0-9]*)([^]*)$/.exec(value.replace(WHITE_SPACE, ''))!
  if (digits === '' || digits!.length > 30) return undefined
  const number = BigInt(digits!)
  return number >= 1n && number < 2n ** 32n - 1n ? [number, rest!] : undefined
}
