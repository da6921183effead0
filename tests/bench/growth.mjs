// How the cost grows: with connections, restrictions, the length of replies, and runes.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { grownKb, idle, inTurns, load, stream, withGateway } from './loads.mjs'
import { median } from './numbers.mjs'

export const FULL = {
  turns: 3,
  seconds: 1,
  idle: [10, 100, 1_000],
  active: [1, 10, 100, 1_000],
  restrictions: [0, 1, 4, 16, 64, 256],
  bytes: [1e3, 1e4, 1e5, 1e6, 1e7, 1e8],
  runes: [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
}
export const QUICK = {
  turns: 1,
  seconds: 0.5,
  idle: [10, 100],
  active: [1, 100],
  restrictions: [0, 16, 256],
  bytes: [1e3, 1e6],
  runes: [1, 1_000, 100_000],
}

// Many runes at once, as `rune create` would have left them.
const FILL = `
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute("""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
        INSERT OR IGNORE INTO runes (unique_id, name, restrictions, created_at)
        SELECT i, 'rune ' || i, 'method^list|method^get&time<4000000000', 1700000000 FROM n
    """, (int(sys.argv[2]),))
database.close()
`

// Memory of connections that only stay open, each kind and number before a gateway of its own. `most`: what
// was measured of the largest number.
export async function byIdleConnections(system, size, most) {
  const points = []
  for (const count of size.idle) {
    const one = (kind) => withGateway(system, 0, (gateway) => idle(system, gateway, gateway[kind], count, 1))
    points.push({ count, tcp: await one('tcp'), ws: await one('ws') })
  }
  points.push({ count: most.tcp.connections, tcp: most.tcp, ws: most.ws })
  const kb = (report) => report.server_rss_after_kb - report.server_rss_before_kb
  return points.map(({ count, tcp, ws }) => ({ count, tcpKb: kb(tcp), wsKb: kb(ws) }))
}

export const byActiveConnections = (system, size) => withGateway(system, 0, async (gateway) => {
  const rune = await gateway.rune()
  return medians(size, size.active, (count) => load(system, gateway, rune, count, 1, size.seconds), (count, report) =>
    ({ count, calls_per_s: report.calls_per_s, cpuUs: report.server_cpu_us, p50_us: report.p50_us, p99_us: report.p99_us }))
})

export const byRestrictions = (system, size) => withGateway(system, 0, async (gateway) => {
  const runes = {}
  for (const count of size.restrictions) runes[count] = await gateway.rune(...Array(count).fill('method/withdraw'))
  return medians(size, size.restrictions, (count) => load(system, gateway, runes[count], 16, 1, size.seconds),
    (count, report) => ({ count, calls_per_s: report.calls_per_s, cpuUs: report.server_cpu_us }))
})

export const byReplySize = (system, size) => withGateway(system, 0, async (gateway) => {
  const rune = await gateway.rune()
  const fetch = (bytes) => stream(system, gateway, rune, bytes, '--seconds', `${size.seconds}`)
  return medians(size, size.bytes, fetch, (bytes, report) =>
    ({ bytes, mb_per_s: report.mb_per_s, mbPerCore: bytes / report.server_cpu_us, grownKb: grownKb(report) }))
})

// Measures all points in turns: of each the medians of what `point` takes from its reports.
async function medians(size, points, run, point) {
  const reports = await inTurns(size.turns, Object.fromEntries(points.map((at) => [at, () => run(at)])))
  return points.map((at) => {
    const taken = reports[at].map((report) => point(at, report))
    return Object.fromEntries(Object.keys(taken[0]).map((key) => [key, median(taken.map((turn) => turn[key]))]))
  })
}

export async function byRunes(system, size) {
  const socket = await system.node(0)
  const first = await system.gateway(socket)
  const rune = await first.rune()
  await first.stop()
  const points = []
  for (const count of size.runes) {
    await promisify(execFile)('python3', ['-c', FILL, first.database, `${count}`])
    const gateway = await system.gateway(socket, first.state)
    const rssKb = gateway.rssKb()
    const { calls_per_s } = await load(system, gateway, rune, 16, 1, size.seconds)
    await gateway.stop()
    points.push({ count, readyMs: gateway.readyMs, rssKb, calls_per_s })
  }
  return points
}
