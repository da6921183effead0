// The numbers, tables and picture of the bench, without a run.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIB, PERCENT, TIMES, atLeast, atMost, figure, median, short, summary } from './numbers.mjs'
import { draw, panels } from './picture.mjs'
import { growthTables, machine, markdown, splice, terminal } from './report.mjs'

const points = {
  idle: [10, 10_000].map((count) => ({ count, tcpKb: count * 4, wsKb: count * 7 })),
  active: [1, 1_000].map((count) => ({ count, calls_per_s: 20_000, cpuUs: 20, p50_us: 50 * count, p99_us: 90 * count })),
  restrictions: [0, 256].map((count) => ({ count, calls_per_s: 20_000, cpuUs: 20 + count / 10 })),
  replies: [1e3, 1e8].map((bytes) => ({ bytes, mb_per_s: 400, mbPerCore: 600, grownKb: 100 })),
  runes: [1, 1e6].map((count) => ({ count, readyMs: 10, rssKb: 9_000, calls_per_s: 20_000 })),
}
const rows = [
  { what: 'a', measured: '1.05 ×', spread: '1.00–1.10', beside: '', goal: '≤ 1.1 ×', good: true },
  { what: 'b', measured: '2 ms', spread: '', beside: 'c', goal: '≤ 1 ms', good: false },
  { what: 'd', measured: '3', spread: '', beside: '', goal: '', good: null },
]

test('numbers are summed up and written short', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.deepEqual(summary([3, 1, 2]), { mid: 2, low: 1, high: 3 })
  assert.deepEqual([0.25, 7, 256, 1_500, 1e6, 1e8].map(short), ['0.25', '7', '256', '1.5k', '1M', '100M'])
})

test('a figure is the median of its turns, held against its goal', () => {
  const reached = { what: 'a', measured: '1.05 ×', spread: '1.00–1.30', beside: 'b', goal: '≤ 1.1 ×', good: true }
  assert.deepEqual(figure('a', [1, 1.3, 1.05], TIMES, atMost(1.1), 'b'), reached)
  const missed = { what: 'c', measured: '50 %', spread: '', beside: '', goal: '≥ 75 %', good: false }
  assert.deepEqual(figure('c', [0.5], PERCENT, atLeast(0.75)), missed)
  assert.deepEqual(figure('d', [4], KIB), { what: 'd', measured: '4.00 KiB', spread: '', beside: '', goal: '', good: null })
})

test('a missed goal is said to be missed', () => {
  const lines = terminal(rows).split('\n')
  assert.match(lines[0], /reached/)
  assert.match(lines[1], /missed/)
  const section = markdown(rows, growthTables(points), 'p.svg', 'machine')
  assert.match(section, /\| a \| \*\*1\.05 ×\*\* \(1\.00–1\.10\) \|  \| ≤ 1\.1 × \|/)
  assert.match(section, /\| b \| \*\*2 ms\*\* \| c \| ≤ 1 ms — missed \|/)
  assert.match(section, /<details>[^]*\| d \| \*\*3\*\* \|  \|/)
})

test('the section replaces the last one and nothing else', () => {
  const text = 'before\n<!-- performance: from here on written by `make bench` -->\nold\n<!-- performance: up to here -->\nafter\n'
  const once = splice(text, 'new')
  assert.ok(once.startsWith('before\n<!--') && once.endsWith('-->\nafter\n') && !once.includes('old'))
  assert.equal(splice(once, 'new'), once)
  assert.throws(() => splice('no marks', 'new'), /no section/)
})

test('the picture has every curve and stays within its frame', () => {
  const svg = draw(panels(points), machine())
  assert.equal(svg.match(/<polyline/g).length, 10)
  assert.ok(!svg.includes('NaN') && !svg.includes('undefined') && svg.includes('prefers-color-scheme: dark'))
  for (const [, y] of svg.matchAll(/<circle [^>]*cy="([\d.-]+)"/g)) assert.ok(y >= 50 && y <= 210, y)
})
