// Amounts, in thousandths of a satoshi as the node counts them, for people to read.

/** Between groups of three digits: a narrow space that does not break. */
const GROUP = '\u202f'
const MSAT_PER_BTC = 100_000_000_000

/** An amount as the node writes it: a number of msat, or a text such as `"1000msat"`. */
export type Msat = number | string

export function toMsat(amount: Msat | undefined | null): number {
  if (typeof amount === 'number') return amount
  return amount ? Number(amount.replace(/msat$/, '')) : 0
}

/** Digits in groups of three. */
export function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, GROUP)
}

/** Whole satoshis, rounded down: `12 345`. */
export function sats(msat: number): string {
  const whole = Math.trunc(msat / 1000)
  return (whole < 0 ? '\u2212' : '') + grouped(`${Math.abs(whole)}`)
}

/** Eight decimals of bitcoin, the last six in groups: `0.01 234 567`. */
export function btc(msat: number): string {
  const [whole = '0', decimals = ''] = (Math.abs(msat) / MSAT_PER_BTC).toFixed(11).slice(0, -3).split('.')
  const spaced = `${decimals.slice(0, 2)}${GROUP}${decimals.slice(2, 5)}${GROUP}${decimals.slice(5)}`
  return `${msat < 0 ? '\u2212' : ''}${grouped(whole)}.${spaced}`
}

/** What is left below a whole satoshi, as three digits; empty where nothing is. */
export function rest(msat: number): string {
  const left = Math.abs(Math.trunc(msat)) % 1000
  return left === 0 ? '' : `${left}`.padStart(3, '0')
}

/** `1 sat`, `12 345 sats`, `1.5 sats`: for sentences. */
export function inWords(msat: number): string {
  const below = rest(msat).replace(/0+$/, '')
  const number = sats(msat) + (below === '' ? '' : `.${below}`)
  return `${number} ${Math.abs(msat) === 1000 ? 'sat' : 'sats'}`
}
