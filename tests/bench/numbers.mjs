// Medians, how numbers are written, and a figure as a line of the table.

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return Number.isInteger(middle) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)]
}

// The median, the lowest and the highest.
export const summary = (values) => ({ mid: median(values), low: Math.min(...values), high: Math.max(...values) })

export const grouped = (value) => Math.round(value).toLocaleString('en')
const fixed = (digits) => (value) => value.toFixed(digits)
const significant = (value) => (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : grouped(value))

// How a figure is written, and what comes after it.
export const TIMES = { write: fixed(2), sign: '×' }
export const PERCENT = { write: (value) => (value * 100).toFixed(0), sign: '%' }
export const MICROSECONDS = { write: significant, sign: 'µs' }
export const MILLISECONDS = { write: fixed(0), sign: 'ms' }
export const KIB = { write: fixed(2), sign: 'KiB' }
export const MIB = { write: fixed(1), sign: 'MiB' }
export const PER_SECOND = { write: grouped, sign: '/s' }

export const written = (value, { write, sign }) => `${write(value)} ${sign}`

// Goals: what they say of a unit, and whether a value reaches them.
export const NONE = { told: () => '', good: () => null }
export const atMost = (limit) => ({ told: (unit) => `≤ ${told(limit, unit)}`, good: (value) => value <= limit })
export const atLeast = (limit) => ({ told: (unit) => `≥ ${told(limit, unit)}`, good: (value) => value >= limit })
const told = (limit, unit) => (unit === PERCENT ? written(limit, unit) : `${limit.toLocaleString('en')} ${unit.sign}`)

// A line of the table: {what, measured, spread, beside, goal, good}; `good` is null where there is no goal.
// `values`: the turns', or their summary.
export function figure(what, values, unit, goal = NONE, beside = '') {
  const { mid, low, high } = Array.isArray(values) ? summary(values) : values
  const spread = low === high ? '' : `${unit.write(low)}–${unit.write(high)}`
  return { what, measured: written(mid, unit), spread, beside, goal: goal.told(unit), good: goal.good(mid) }
}

// 1000000 as 1M, 1500 as 1.5k, 0.25 as 0.25.
export function short(value) {
  for (const [unit, letter] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (value >= unit) return `${Number((value / unit).toPrecision(3))}${letter}`
  }
  return `${Number(value >= 10 ? value.toFixed() : value.toPrecision(2))}`
}
