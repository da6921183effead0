// What is measured: each figure beside what it is to be compared with, in turns.
import { direct, floors, grownKb, handshakes, idle, inTurns, load, paced, stream, withGateway } from './loads.mjs'
import * as n from './numbers.mjs'

// What lightningd's getinfo costs its one thread.
const LIGHTNINGD_US = 35
// Past the gateway's keep-alive of 60 s.
const KEPT_ALIVE_S = 65
// A memory that grows by less is flat.
const FLAT_MIB = 4

export const FULL = {
  turns: 9,
  seconds: 1,
  floorTurns: 201,
  idle: 10_000,
  idleSeconds: KEPT_ALIVE_S,
  bytes: 100_000_000,
  callers: [10, 100, 1_000],
  callersSeconds: 10,
  starts: 15,
}
export const QUICK = {
  turns: 1,
  seconds: 0.5,
  floorTurns: 21,
  idle: 500,
  idleSeconds: 1,
  bytes: 10_000_000,
  callers: [10, 100],
  callersSeconds: 2,
  starts: 3,
}

export async function inProcess(system, size) {
  const goals = { handshake: 1.1, seal_200: 1.1, open_200: 1.1, rune_3: 2 }
  const rows = await floors(system, size.floorTurns)
  return rows.map(({ name, what, us, ratio, ratio_low, ratio_high, floor_is, floor_us }) => {
    const beside = `${n.written(us, n.MICROSECONDS)}; ${floor_is}: ${n.written(floor_us, n.MICROSECONDS)}`
    const goal = goals[name] ? n.atMost(goals[name]) : n.NONE
    return n.figure(what, { mid: ratio, low: ratio_low, high: ratio_high }, n.TIMES, goal, beside)
  })
}

export const handshakesPerCore = (system, size) => withGateway(system, 0, async (gateway) => {
  const { floor, tcp, ws } = await inTurns(size.turns, {
    floor: async () => (await floors(system, size.floorTurns, 'handshake'))[0],
    tcp: () => handshakes(system, gateway, gateway.tcp, size.seconds),
    ws: () => handshakes(system, gateway, gateway.ws, size.seconds),
  })
  const allowed = n.written(n.median(floor.map(({ floor_us }) => floor_us)), n.MICROSECONDS)
  const line = (what, reports, goal) => {
    const shares = reports.map(({ server_cpu_us }, turn) => floor[turn].floor_us / server_cpu_us)
    const took = n.written(n.median(reports.map(({ server_cpu_us }) => server_cpu_us)), n.MICROSECONDS)
    return n.figure(what, shares, n.PERCENT, goal, `${took} CPU from accept to close; the handshake's floor: ${allowed}`)
  }
  return [
    line('connections taken in per core, of what the floor allows, TCP', tcp, n.atLeast(0.75)),
    line('connections taken in per core, of what the floor allows, WebSocket', ws),
  ]
})

export async function calls(system, size) {
  const slow = await withGateway(system, 100, async (gateway, socket) => {
    const rune = await gateway.rune()
    return inTurns(size.turns, {
      direct: () => direct(system, socket, 1, 1, size.seconds),
      gateway: () => load(system, gateway, rune, 1, 1, size.seconds),
    })
  })
  const busy = await withGateway(system, LIGHTNINGD_US, async (gateway, socket) => {
    const rune = await gateway.rune()
    return inTurns(size.turns, {
      direct: () => direct(system, socket, 16, 1, size.seconds),
      many: () => load(system, gateway, rune, 16, 1, size.seconds),
      one: () => load(system, gateway, rune, 1, 16, size.seconds),
      read: () => load(system, gateway, rune, 16, 16, size.seconds),
      pay: () => load(system, gateway, rune, 16, 16, size.seconds, 'pay'),
    })
  })
  const durable = await withGateway(system, 0, async (gateway) => {
    const runes = { rate: await gateway.rune('rate=1000000000'), per: await gateway.rune('per=1nsec') }
    return inTurns(size.turns, {
      rate: () => load(system, gateway, runes.rate, 16, 16, size.seconds),
      per: () => load(system, gateway, runes.per, 16, 16, size.seconds),
    })
  })

  const perSecond = (reports) => n.grouped(n.median(reports.map(({ calls_per_s }) => calls_per_s)))
  const p50 = (reports) => n.written(n.median(reports.map(({ p50_us }) => p50_us)), n.MICROSECONDS)
  const lateness = (reports) => reports.map(({ p99_us, p50_us }) => p99_us / p50_us)
  const cpu = (what, reports, goal) =>
    n.figure(`gateway CPU per call, ${what}`, reports.map(({ server_cpu_us }) => server_cpu_us), n.MICROSECONDS, goal)
  const against = (what, ours, theirs, goal) => {
    const ratios = ours.map(({ calls_per_s }, turn) => calls_per_s / theirs[turn].calls_per_s)
    return n.figure(what, ratios, n.TIMES, goal, `${perSecond(ours)} calls/s beside ${perSecond(theirs)}`)
  }
  const late = (what, reports, goal) =>
    n.figure(`p99 latency beside p50, ${what}`, lateness(reports), n.TIMES, goal, `p50: ${p50(reports)}`)
  const stamped = (what, reports) => {
    const beside = 'each use is on disk before its command runs'
    return n.figure(what, reports.map(({ calls_per_s }) => calls_per_s), n.PER_SECOND, n.atLeast(5_000), beside)
  }
  const node = `node of ${LIGHTNINGD_US} µs as lightningd's`
  return [
    cpu('16 connections', busy.many, n.atMost(25)),
    cpu('1 connection with 16 in flight', busy.one),
    cpu('1 connection, one at a time', slow.gateway),
    against("1 connection, one at a time, node of 100 µs: rate beside the node's own socket",
      slow.gateway, slow.direct, n.atLeast(0.55)),
    against(`16 connections, ${node}: rate beside 16 of its own sockets`, busy.many, busy.direct, n.atLeast(0.7)),
    against(`1 connection with 16 in flight, ${node}: rate beside the same`, busy.one, busy.direct, n.atLeast(0.7)),
    late('16 connections', busy.many, n.atMost(3)),
    late('1 connection with 16 in flight', busy.one, n.atMost(3)),
    late("16 of the node's own sockets", busy.direct),
    against('`pay`, on record on disk before it is sent, 16 connections with 16 in flight: rate beside `getinfo`',
      busy.pay, busy.read, n.atLeast(0.8)),
    stamped('calls under a `rate`, 16 connections with 16 in flight', durable.rate),
    stamped('calls under a `per`, the same', durable.per),
    late('calls under a `per`', durable.per, n.atMost(3)),
  ]
}

// Connections over TCP and as many over WebSocket at once, each kind before a gateway of its own.
export async function idleConnections(system, size) {
  const one = (kind) =>
    withGateway(system, 0, (gateway) => idle(system, gateway, gateway[kind], size.idle, size.idleSeconds))
  const [tcp, ws] = await Promise.all([one('tcp'), one('ws')])
  const line = (over, { bytes_per_connection, pings }, goal) => {
    const what = `memory of each of ${n.grouped(size.idle)} idle connections, ${over}`
    return n.figure(what, [bytes_per_connection / 1024], n.KIB, goal, `${n.grouped(pings)} keep-alives answered`)
  }
  return { tcp, ws, rows: [line('TCP', tcp, n.atMost(4)), line('WebSocket', ws, n.atMost(8))] }
}

export const longReply = (system, size) => withGateway(system, 0, async (gateway) => {
  const rune = await gateway.rune()
  // The first brings the gateway's buffers to size.
  await stream(system, gateway, rune, size.bytes, '--calls', '1')
  const { floor, reply } = await inTurns(size.turns, {
    floor: async () => (await floors(system, size.floorTurns, 'seal_65535'))[0],
    reply: () => stream(system, gateway, rune, size.bytes, '--calls', '3'),
  })
  // Bytes per microsecond are megabytes per second.
  const cipher = floor.map(({ floor_us }) => 65_535 / floor_us)
  const perCore = reply.map(({ server_cpu_us }) => size.bytes / server_cpu_us)
  const shares = perCore.map((mb, turn) => mb / cipher[turn])
  const [mid, most, client] = [perCore, cipher, reply.map(({ mb_per_s }) => mb_per_s)].map(n.median).map(n.grouped)
  const grown = reply.map((report) => grownKb(report) / 1024)
  const what = `reply of ${size.bytes / 1e6} MB`
  const speed = `${mid} of ${most} MB/s; ${client} at the client, all on these cores`
  return [
    n.figure(`${what} per core, of what the cipher allows`, shares, n.PERCENT, n.atLeast(0.6), speed),
    n.figure(`memory a ${what} takes at its peak`, grown, n.MIB, n.atMost(FLAT_MIB)),
  ]
})

// More and more connections that each call once a second.
export const calmCallers = (system, size) => withGateway(system, 0, async (gateway) => {
  const rune = await gateway.rune()
  const reports = []
  for (const count of size.callers) {
    reports.push(await paced(system, gateway, rune, count, 1, size.callersSeconds))
  }
  const each = (value, sign) => `${reports.map(value).join(' / ')}${sign}`
  const cpu = reports.map(({ server_cpu_us, calls_per_s }) => server_cpu_us * calls_per_s)
  // What the gateway does by itself is in the first; what calls cost is what each step adds.
  const added = reports.slice(1).map(({ calls_per_s }, step) =>
    (cpu[step + 1] - cpu[step]) / (calls_per_s - reports[step].calls_per_s))
  const first = reports[0]
  const last = reports.at(-1)
  const what = `${size.callers.map(n.grouped).join(' / ')} connections that each call once a second`
  const line = (of, measured, goal, good, beside = '') =>
    ({ what: `${what}: ${of}`, measured, spread: '', beside, goal, good })
  return [
    line('errors', each(({ errors }) => errors, ''), 'none', reports.every(({ errors }) => errors === 0)),
    line('gateway CPU', each((_, step) => (cpu[step] / 1e4).toFixed(1), ' %'), 'linear', added.at(-1) <= 1.25 * added[0],
      `each more call a second adds ${added.map(n.MICROSECONDS.write).join(', then ')} µs`),
    line('p99', each(({ p99_us }) => n.grouped(p99_us), ' µs'), 'flat', last.p99_us <= 1.5 * first.p99_us,
      `p50: ${each(({ p50_us }) => n.grouped(p50_us), ' µs')}`),
  ]
})

export async function coldStart(system, size) {
  const socket = await system.node(0)
  const [fresh, again] = [[], []]
  for (let start = 0; start < size.starts; start++) {
    const first = await system.gateway(socket)
    await first.stop()
    const second = await system.gateway(socket, first.state)
    await second.stop()
    fresh.push(first.readyMs)
    again.push(second.readyMs)
  }
  return [
    n.figure('start to ready, for the first time', fresh, n.MILLISECONDS, n.atMost(50)),
    n.figure('start to ready, with a state directory', again, n.MILLISECONDS, n.atMost(50)),
  ]
}
