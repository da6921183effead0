// Numbers, times and names as people write them: the same words as the gateway's.

/** `100,001`. */
export function number(value: bigint): string {
  return `${value}`.replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A value that nobody can take for words around it: plain where it is a word, else in quotation marks. */
export function shown(value: string): string {
  return /^[A-Za-z0-9_-]+$/.test(value) && /[^-]/.test(value) ? value : quoted(value)
}

/** A value in quotation marks, with what is invisible escaped. */
export function quoted(value: string): string {
  const escapes: Record<string, string> = {
    '"': '\\"',
    '\\': '\\\\',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\0': '\\0',
  }
  const text = value.replace(
    /["\\]|[\p{C}\p{Zl}\p{Zp}\p{Grapheme_Extend}]|(?! )\p{Zs}/gu,
    (character) => escapes[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`,
  )
  return `"${text}"`
}

const SECOND = 1_000_000_000n

/** `6 seconds`, `1 hour`, `8.571428571 seconds`: exact, in the largest unit that needs no fraction. */
export function duration(nanoseconds: bigint): { text: string; single: boolean } {
  const units = [
    [86_400n, 'day'],
    [3_600n, 'hour'],
    [60n, 'minute'],
    [1n, 'second'],
  ] as const
  for (const [seconds, name] of units) {
    if (nanoseconds % (seconds * SECOND) !== 0n) continue
    const count = nanoseconds / (seconds * SECOND)
    return { text: `${number(count)} ${name}${count === 1n ? '' : 's'}`, single: count === 1n }
  }
  const fraction = `${nanoseconds % SECOND}`.padStart(9, '0').replace(/0+$/, '')
  return { text: `${number(nanoseconds / SECOND)}.${fraction} seconds`, single: false }
}

/** In seconds: up to which length, the unit to tell it in, and what that is called. */
const LENGTHS: [bigint, bigint, string][] = [
  [90n, 1n, 'second'],
  [5_400n, 60n, 'minute'],
  [172_800n, 3_600n, 'hour'],
  [2n ** 65n, 86_400n, 'day'],
]

/** `in 30 days`, `5 minutes ago`: rounded. Both in UNIX seconds. */
export function relative(at: bigint, now: bigint): string {
  const seconds = at > now ? at - now : now - at
  if (seconds === 0n) return 'now'
  const [, unit, name] = LENGTHS.find(([most]) => seconds <= most)!
  const count = seconds / unit + ((seconds % unit) * 2n >= unit ? 1n : 0n)
  const length = `${number(count)} ${name}${count === 1n ? '' : 's'}`
  return at > now ? `in ${length}` : `${length} ago`
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ')

/** `20 December 2026, 15:04 UTC`, with seconds where there are any. */
export function date(at: bigint): string {
  if (at < 0n) return 'a time before 1970'
  if (at >= 253_402_300_800n) return 'a time after the year 9999'
  const time = new Date(Number(at) * 1000)
  const two = (value: number) => `${value}`.padStart(2, '0')
  const second = time.getUTCSeconds() === 0 ? '' : `:${two(time.getUTCSeconds())}`
  const clock = `${two(time.getUTCHours())}:${two(time.getUTCMinutes())}${second} UTC`
  return `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]} ${time.getUTCFullYear()}, ${clock}`
}
