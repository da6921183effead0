// The figures as a table to read in a terminal, and as the README's section.
import { cpus } from 'node:os'
import { grouped, short } from './numbers.mjs'

const BEGIN = '<!-- performance: from here on written by `make bench` -->'
const END = '<!-- performance: up to here -->'
const mark = (good) => (good === null ? '' : good ? 'reached' : 'missed')
const mib = (kb) => `${(kb / 1024).toFixed(1)}`

// What the figures were measured on, and when.
export function machine() {
  const [{ model }] = cpus()
  const date = new Date().toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' })
  return `${model}, ${cpus().length} cores, ${date}`
}

export function terminal(rows) {
  const width = Math.max(...rows.map(({ what }) => what.length))
  const line = ({ what, measured, spread, goal, good, beside }) => {
    const [told, verdict] = [`${measured.padStart(12)}  ${spread.padEnd(13)}`, `${goal.padEnd(10)}  ${mark(good).padEnd(7)}`]
    return `${what.padEnd(width)}  ${told}  ${verdict}  ${beside}`.trimEnd()
  }
  return rows.map(line).join('\n')
}

// The growth tables: {title, head, lines}.
export function growthTables({ idle, active, restrictions, replies, runes }) {
  return [
    {
      title: 'Idle connections',
      head: ['connections', 'TCP, MiB', 'WebSocket, MiB', 'TCP, KiB each', 'WebSocket, KiB each'],
      lines: idle.map(({ count, tcpKb, wsKb }) =>
        [grouped(count), mib(tcpKb), mib(wsKb), (tcpKb / count).toFixed(1), (wsKb / count).toFixed(1)]),
    },
    {
      title: 'Connections that call as fast as they are answered',
      head: ['connections', 'calls/s', 'CPU a call, µs', 'p50, µs', 'p99, µs'],
      lines: active.map(({ count, calls_per_s, cpuUs, p50_us, p99_us }) =>
        [count, calls_per_s, cpuUs, p50_us, p99_us].map(grouped)),
    },
    {
      title: 'Restrictions of the rune',
      head: ['restrictions', 'calls/s', 'CPU a call, µs'],
      lines: restrictions.map(({ count, calls_per_s, cpuUs }) => [grouped(count), grouped(calls_per_s), cpuUs.toFixed(1)]),
    },
    {
      title: 'Length of a reply',
      head: ['bytes', 'MB/s at the client', 'MB per second of gateway CPU', 'memory it takes, MiB'],
      lines: replies.map(({ bytes, mb_per_s, mbPerCore, grownKb }) =>
        [short(bytes), grouped(mb_per_s), grouped(mbPerCore), mib(grownKb)]),
    },
    {
      title: 'Runes handed out',
      head: ['runes', 'start to ready, ms', 'memory, MiB', 'calls/s'],
      lines: runes.map(({ count, readyMs, rssKb, calls_per_s }) =>
        [short(count), grouped(readyMs), mib(rssKb), grouped(calls_per_s)]),
    },
  ]
}

export function terminalTable({ title, head, lines }) {
  const widths = head.map((cell, column) => Math.max(cell.length, ...lines.map((line) => line[column].length)))
  const print = (cells) => cells.map((cell, column) => cell.padStart(widths[column] + 2)).join('')
  return [title, print(head), ...lines.map(print)].join('\n')
}

export function markdown(rows, growth, picture, where) {
  const cells = ({ what, measured, spread, beside }) => [what, `**${measured}**${spread && ` (${spread})`}`, beside]
  const held = rows.filter(({ goal }) => goal).map((row) => [...cells(row), `${row.goal}${row.good ? '' : ' — missed'}`])
  const others = rows.filter(({ goal }) => !goal).map(cells)
  const tables = growth.map(({ title, head, lines }) => `${title}\n\n${table(head, lines, 'right')}`)
  return `Measured on: ${where}. Client, gateway and node share these cores. What is compared took turns in one run; shown are
the median and, in brackets, the lowest and the highest (of what is computed in process: the quartiles).

${table(['what', 'measured', 'beside', 'goal'], held)}

![How the cost grows with connections, restrictions, the length of replies and runes](${picture})

<details>
<summary>The same growth in numbers, and what has no goal</summary>

${table(['what', 'measured', 'beside'], others)}

${tables.join('\n\n')}

</details>`
}

function table(head, lines, align) {
  const print = (cells) => `| ${cells.join(' | ')} |`
  return [head, head.map(() => (align === 'right' ? '---:' : '---')), ...lines].map(print).join('\n')
}

// `text` with what stands between the two marks replaced.
export function splice(text, section) {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`the README has no section between ${BEGIN} and ${END}`)
  return `${text.slice(0, begin + BEGIN.length)}\n${section}\n${text.slice(end)}`
}
