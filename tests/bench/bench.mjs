// `make bench`: every figure the gateway is held to, as ratios taken in one run, and how its cost grows. Prints them
// and writes them, with a picture, into the README; with ARGS=quick it takes a short look and only prints.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as figures from './figures.mjs'
import * as growth from './growth.mjs'
import { draw, panels } from './picture.mjs'
import { growthTables, machine, markdown, splice, terminal, terminalTable } from './report.mjs'
import { System } from './system.mjs'

const README = fileURLToPath(new URL('../../README.md', import.meta.url))
const PICTURE = 'tests/bench/performance.svg'

const [binaries, how = 'full'] = process.argv.slice(2)
if (!['full', 'quick'].includes(how)) {
  console.error(`bench.mjs: ${how} is neither quick nor full`)
  process.exit(2)
}
const [size, sizes] = how === 'quick' ? [figures.QUICK, growth.QUICK] : [figures.FULL, growth.FULL]
const system = new System(binaries)
const rows = []
const print = (more) => {
  rows.push(...more)
  console.log(`${terminal(more)}\n`)
}

console.log(`${machine()}\n`)
print(await figures.inProcess(system, size))
print(await figures.handshakesPerCore(system, size))
print(await figures.calls(system, size))
const most = await figures.idleConnections(system, size)
print(most.rows)
print(await figures.longReply(system, size))
print(await figures.calmCallers(system, size))
print(await figures.coldStart(system, size))

const points = {
  idle: await growth.byIdleConnections(system, sizes, most),
  active: await growth.byActiveConnections(system, sizes),
  restrictions: await growth.byRestrictions(system, sizes),
  replies: await growth.byReplySize(system, sizes),
  runes: await growth.byRunes(system, sizes),
}
const tables = growthTables(points)
tables.forEach((table) => console.log(`${terminalTable(table)}\n`))

if (how === 'full') {
  writeFileSync(fileURLToPath(new URL('performance.svg', import.meta.url)), draw(panels(points), machine()))
  writeFileSync(README, splice(readFileSync(README, 'utf8'), markdown(rows, tables, PICTURE, machine())))
  console.log(`Written into README.md and ${PICTURE}.`)
}
process.exit(0)
