// What is measured: each figure beside what it is to be compared with, in turns.
import { median, summary } from './numbers.mjs'

// What lightningd's getinfo costs its one thread.
const LIGHTNINGD_US = 35
// Past the gateway's keep-alive of 60 s.
const KEPT_ALIVE_S = 65

export const FULL = { turns: 5, seconds: 2, starts: 15, floorTurns: 201, idle: 10_000, idleSeconds: KEPT_ALIVE_S, callers: 1_000, pacedSeconds: 10, bytes: 100_000_000 }
export const QUICK = { turns: 1, seconds: 0.5, starts: 3, floorTurns: 21, idle: 500, idleSeconds: 1, callers: 100, pacedSeconds: 2, bytes: 10_000_000 }

const shape = (connections, inFlight, seconds) => ['--connections', `${connections}`, '--in-flight', `${inFlight}`, '--seconds', `${seconds}`]
const watched = (gateway) => ['--server-pid', gateway.pid]
export const load = (system, gateway, rune, connections, inFlight, seconds, ...more) =>
  system.bench(['load', gateway.tcp, ...shape(connections, inFlight, seconds), ...watched(gateway), ...more], rune)
export const handshakes = (system, gateway, uri, seconds) =>
  system.bench(['handshakes', uri, '--connections', '8', '--seconds', `${seconds}`, ...watched(gateway)])
export const idle = (system, gateway, uri, connections, seconds) =>
  system.bench(['idle', uri, '--connections', `${connections}`, '--seconds', `${seconds}`, ...watched(gateway)])
export const stream = (system, gateway, rune, bytes, ...until) =>
  system.bench(['stream', gateway.tcp, '--bytes', `${bytes}`, ...until, ...watched(gateway)], rune)
export const floors = (system, turns, ...names) => system.bench(['floors', ...names, '--turns', `${turns}`])

// Runs all of `runs` ({name: async function}) turn by turn: {name: [report of each turn]}.
async function inTurns(turns, runs) {
  const reports = Object.fromEntries(Object.keys(runs).map((name) => [name, []]))
  for (let turn = 0; turn < turns; turn++) {
    for (const [name, run] of Object.entries(runs)) reports[name].push(await run())
  }
  return reports
}

// A gateway before a node of this cost, for as long as `work` takes.
export async function withGateway(system, costUs, work) {
  const socket = await system.node(costUs)
  const gateway = await system.gateway(socket)
  try {
    return await work(gateway, socket)
  } finally {
    await gateway.stop()
  }
}

const ratio = (ours, theirs) => summary(ours.map((report, turn) => report.calls_per_s / theirs[turn].calls_per_s))
const us = (value) => `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} µs`

// A line of the table. `good`: whether the goal is reached, where there is one.
const row = (what, measured, { spread = '', beside = '', goal = '', good = null } = {}) => ({ what, measured, spread, beside, goal, good })
const times = (what, { mid, low, high }, beside, goal, good) =>
  row(what, `${mid.toFixed(2)} ×`, { spread: `${low.toFixed(2)}–${high.toFixed(2)}`, beside, goal, good })
const percent = (what, { mid, low, high }, beside, goal, good) =>
  row(what, `${(mid * 100).toFixed(0)} %`, { spread: `${(low * 100).toFixed(0)}–${(high * 100).toFixed(0)} %`, beside, goal, good })

export async function inProcess(system, size) {
  const goals = { handshake: 1.1, seal_200: 1.1, open_200: 1.1, rune_3: 2 }
  const rows = await floors(system, size.floorTurns)
  return {
    floors: Object.fromEntries(rows.map((floor) => [floor.name, floor])),
    rows: rows.map(({ name, what, us: took, ratio: mid, ratio_low: low, ratio_high: high, floor_is, floor_us }) => {
      const goal = goals[name]
      const beside = `${us(took)}; ${floor_is}: ${us(floor_us)}`
      return times(what, { mid, low, high }, beside, goal && `≤ ${goal} ×`, goal ? mid <= goal : null)
    }),
  }
}

export const handshakesPerCore = (system, size) => withGateway(system, 0, async (gateway) => {
  const reports = await inTurns(size.turns, {
    floor: () => floors(system, size.floorTurns, 'handshake'),
    tcp: () => handshakes(system, gateway, gateway.tcp, size.seconds),
    ws: () => handshakes(system, gateway, gateway.ws, size.seconds),
  })
  const line = (what, ours, goal) => {
    const share = summary(ours.map((report, turn) => reports.floor[turn][0].floor_us / report.server_cpu_us))
    const cpu = median(ours.map((report) => report.server_cpu_us))
    const beside = `${us(cpu)} of the gateway's processor for all of it; floor ${us(median(reports.floor.map(([floor]) => floor.floor_us)))}`
    return percent(what, share, beside, goal, goal ? share.mid >= 0.75 : null)
  }
  return [
    line('connections taken in over loopback, per core, of what the handshake\'s floor allows', reports.tcp, '≥ 75 %'),
    line('the same over WebSocket', reports.ws),
  ]
})

export async function calls(system, size) {
  const slow = await withGateway(system, 100, async (gateway, socket) => {
    const rune = await gateway.rune()
    return inTurns(size.turns, {
      direct: () => system.bench(['direct', socket, ...shape(1, 1, size.seconds)]),
      one: () => load(system, gateway, rune, 1, 1, size.seconds),
    })
  })
  const busy = await withGateway(system, LIGHTNINGD_US, async (gateway, socket) => {
    const rune = await gateway.rune()
    return inTurns(size.turns, {
      direct: () => system.bench(['direct', socket, ...shape(16, 1, size.seconds)]),
      many: () => load(system, gateway, rune, 16, 1, size.seconds),
      one: () => load(system, gateway, rune, 1, 16, size.seconds),
    })
  })
  const durable = await withGateway(system, 0, async (gateway) => {
    const runes = { rate: await gateway.rune('rate=1000000000'), per: await gateway.rune('per=1nsec') }
    return inTurns(size.turns, {
      rate: () => load(system, gateway, runes.rate, 16, 16, size.seconds),
      per: () => load(system, gateway, runes.per, 16, 16, size.seconds),
    })
  })

  const rate = (reports) => Math.round(median(reports.map((report) => report.calls_per_s))).toLocaleString('en')
  const cpu = (reports) => summary(reports.map((report) => report.server_cpu_us))
  const late = (reports) => summary(reports.map((report) => report.p99_us / report.p50_us))
  const p50 = (reports) => us(median(reports.map((report) => report.p50_us)))
  const against = (reports, direct) => `${rate(reports)} calls/s beside ${rate(direct)}`
  const cost = (what, { mid, low, high }, goal) =>
    row(what, us(mid), { spread: `${low.toFixed(1)}–${high.toFixed(1)}`, goal: goal && `≤ ${goal} µs`, good: goal ? mid <= goal : null })
  const reached = (what, reports, direct, goal) => {
    const against_ = ratio(reports, direct)
    return times(what, against_, against(reports, direct), `≥ ${goal} ×`, against_.mid >= goal)
  }
  const tail = (what, reports, beside, goal) =>
    times(what, late(reports), `p50 ${p50(reports)}${beside}`, goal && `≤ ${goal} ×`, goal ? late(reports).mid <= goal : null)
  const stamped = (what, reports) => {
    const { mid, low, high } = summary(reports.map((report) => report.calls_per_s))
    const rounded = [mid, low, high].map((value) => Math.round(value).toLocaleString('en'))
    return row(what, `${rounded[0]} /s`, { spread: `${rounded[1]}–${rounded[2]}`, beside: `each use on disk before the command runs; ${us(cpu(reports).mid)} CPU`, goal: '≥ 5,000 /s', good: mid >= 5_000 })
  }
  return [
    cost('gateway CPU per small call, 16 connections', cpu(busy.many), 25),
    cost('the same, one connection with 16 calls in flight', cpu(busy.one)),
    cost('the same, one connection, one call at a time', cpu(slow.one)),
    reached('one connection, one call at a time, a node of 100 µs, beside the node\'s own socket', slow.one, slow.direct, 0.55),
    reached(`16 connections, a node of ${LIGHTNINGD_US} µs as lightningd, beside 16 sockets of its own`, busy.many, busy.direct, 0.7),
    reached('one connection with 16 calls in flight, beside the same', busy.one, busy.direct, 0.7),
    tail('p99 latency under that load, beside p50: 16 connections', busy.many, `; the node's own sockets ${late(busy.direct).mid.toFixed(2)} ×`, 3),
    tail('one connection with 16 calls in flight', busy.one, '', 3),
    stamped('calls under a `rate`', durable.rate),
    stamped('calls under a `per`', durable.per),
    tail('p99 under that load, beside p50', durable.per, '', 3),
  ]
}

// `size.idle` connections over TCP and as many over WebSocket, each kind before a gateway of its own.
export async function idleConnections(system, size) {
  const one = (kind) => withGateway(system, 0, (gateway) => idle(system, gateway, gateway[kind], size.idle, size.idleSeconds))
  const [tcp, ws] = await Promise.all([one('tcp'), one('ws')])
  const line = (what, report, goal) => {
    const kib = report.bytes_per_connection / 1024
    const beside = report.pings ? `${report.pings.toLocaleString('en')} keep-alives answered` : 'no keep-alive yet'
    return row(`memory of ${size.idle.toLocaleString('en')} idle connections, ${what}, each`, `${kib.toFixed(2)} KiB`, { beside, goal: `≤ ${goal} KiB`, good: kib <= goal })
  }
  return { tcp, ws, rows: [line('TCP', tcp, 4), line('WebSocket', ws, 8)] }
}

export const longReply = (system, size) => withGateway(system, 0, async (gateway) => {
  const rune = await gateway.rune()
  // The first brings the gateway's buffers to size.
  await stream(system, gateway, rune, size.bytes, '--calls', '1')
  const reports = await inTurns(size.turns, {
    floor: () => floors(system, size.floorTurns, 'seal_65535'),
    reply: () => stream(system, gateway, rune, size.bytes, '--calls', '3'),
  })
  const share = summary(reports.reply.map((report, turn) => {
    const { floor_us } = reports.floor[turn][0]
    return (floor_us / 65_535) * size.bytes / report.server_cpu_us
  }))
  const grown = Math.max(...reports.reply.map((report) => report.server_rss_peak_kb - report.server_rss_before_kb)) / 1024
  const speed = (value) => `${Math.round(value).toLocaleString('en')} MB/s`
  const ofCore = median(reports.reply.map((report) => size.bytes / report.server_cpu_us))
  const cipher = median(reports.floor.map(([floor]) => 65_535 / floor.floor_us))
  const name = `reply of ${size.bytes / 1e6} MB`
  return [
    percent(`${name}, per core, of what the cipher alone allows`, share, `${speed(ofCore)} of ${speed(cipher)}; at the client ${speed(median(reports.reply.map((report) => report.mb_per_s)))}`, '≥ 60 %', share.mid >= 0.6),
    row(`memory that a ${name} takes at its peak`, `${grown.toFixed(1)} MiB`, { goal: 'flat', good: grown <= 4 }),
  ]
})

// Connections that each call once a second, from ten up.
export async function calmCallers(system, size) {
  const counts = [10, 100, 1_000].filter((count) => count <= size.callers)
  const reports = await withGateway(system, 0, async (gateway) => {
    const rune = await gateway.rune()
    const reports = []
    for (const count of counts) reports.push(await load(system, gateway, rune, count, 1, size.pacedSeconds, '--rate', '1'))
    return reports
  })
  const each = (value) => reports.map(value).join(' / ')
  // What the gateway does by itself is in the first: the cost of calls is what each step adds.
  const perSecondUs = reports.map((report) => report.server_cpu_us * report.calls_per_s)
  const added = perSecondUs.slice(1).map((cost, step) => (cost - perSecondUs[step]) / (reports[step + 1].calls_per_s - reports[step].calls_per_s))
  const told = `${counts.map((count) => count.toLocaleString('en')).join(' / ')} connections, each calling once a second`
  return {
    counts,
    reports,
    rows: [
      row(`${told}: errors`, each((report) => report.errors), { goal: '0', good: reports.every((report) => report.errors === 0) }),
      row('the same: gateway CPU', `${perSecondUs.map((cost) => (cost / 1e4).toFixed(1)).join(' / ')} %`, { beside: `a call more adds ${added.map((cost) => Math.round(cost)).join(', then ')} µs`, goal: 'linear in calls', good: added.at(-1) <= 1.25 * added[0] }),
      row('the same: p99', `${each((report) => Math.round(report.p99_us))} µs`, { beside: `p50 ${each((report) => Math.round(report.p50_us))} µs`, goal: 'flat', good: reports.at(-1).p99_us <= 1.5 * reports[0].p99_us }),
    ],
  }
}

export async function coldStart(system, size) {
  const socket = await system.node(0)
  const fresh = []
  const again = []
  for (let start = 0; start < size.starts; start++) {
    const first = await system.gateway(socket)
    await first.stop()
    const second = await system.gateway(socket, first.state)
    await second.stop()
    fresh.push(first.readyMs)
    again.push(second.readyMs)
  }
  const line = (what, starts) => {
    const { mid, low, high } = summary(starts)
    return row(what, `${mid.toFixed(0)} ms`, { spread: `${low.toFixed(0)}–${high.toFixed(0)}`, goal: '≤ 50 ms', good: mid <= 50 })
  }
  return [line('cold start to ready, nothing there yet', fresh), line('cold start to ready, a state directory', again)]
}
