// Medians and how numbers are written.

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return Number.isInteger(middle) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)]
}

// The median, the lowest and the highest.
export const summary = (values) => ({ mid: median(values), low: Math.min(...values), high: Math.max(...values) })

// 1000000 as 1M, 1500 as 1.5k, 0.25 as 0.25.
export function short(value) {
  for (const [unit, letter] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (value >= unit) return `${Number((value / unit).toPrecision(3))}${letter}`
  }
  return `${Number(value.toPrecision(2))}`
}
