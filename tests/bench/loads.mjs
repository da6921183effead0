// The load generator's runs, in turns, and the gateways they are put on.

// `inFlight`: null where no calls are made.
const shape = (connections, inFlight, seconds) =>
  ['--connections', `${connections}`, ...(inFlight ? ['--in-flight', `${inFlight}`] : []), '--seconds', `${seconds}`]
const watched = (gateway) => ['--server-pid', gateway.pid]

// A run in which something failed measured something else.
async function clean(system, args, rune) {
  const report = await system.bench(args, rune)
  if (report.errors || report.lost_connections) {
    throw new Error(`runeward-bench ${args.join(' ')}: ${JSON.stringify(report)}`)
  }
  return report
}

export const direct = (system, socket, connections, inFlight, seconds) =>
  clean(system, ['direct', socket, ...shape(connections, inFlight, seconds)])

export const load = (system, gateway, rune, connections, inFlight, seconds, method = 'getinfo') => {
  const what = ['--method', method, ...shape(connections, inFlight, seconds), ...watched(gateway)]
  return clean(system, ['load', gateway.tcp, ...what], rune)
}

// Calls at a steady pace of so many a second; its errors are for the caller to see.
export const paced = (system, gateway, rune, connections, rate, seconds) =>
  system.bench(['load', gateway.tcp, '--rate', `${rate}`, ...shape(connections, 1, seconds), ...watched(gateway)], rune)

export const stream = (system, gateway, rune, bytes, ...until) =>
  clean(system, ['stream', gateway.tcp, '--bytes', `${bytes}`, ...until, ...watched(gateway)], rune)

export const handshakes = (system, gateway, uri, seconds) =>
  clean(system, ['handshakes', uri, ...shape(8, null, seconds), ...watched(gateway)])

export const idle = (system, gateway, uri, connections, seconds) =>
  clean(system, ['idle', uri, ...shape(connections, null, seconds), ...watched(gateway)])

export const floors = (system, turns, ...names) => system.bench(['floors', ...names, '--turns', `${turns}`])

// By how much the server's memory grew at its peak, as far as the kernel counts: it does so in batches.
export const grownKb = ({ server_rss_peak_kb: peak, server_rss_before_kb: before }) => Math.max(0, peak - before)

// Runs all of `runs` ({name: async function}) turn by turn: {name: [report of each turn]}.
export async function inTurns(turns, runs) {
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
