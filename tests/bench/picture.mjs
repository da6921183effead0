// The growth curves as one SVG that reads well on a light page and on a dark one.
import { short } from './numbers.mjs'

const PANEL = { width: 300, height: 236, left: 46, right: 16, top: 58, bottom: 36 }
const COLUMNS = 3
const MARGIN = 14

const STYLE = `
  .page { fill: #ffffff } .panel { fill: #f6f8fa; stroke: #d8dee4 } .grid { stroke: #d8dee4; stroke-width: 1 }
  text { font: 11px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #59636e }
  .title { font-size: 13px; font-weight: 600; fill: #1f2328 } .end { text-anchor: end } .middle { text-anchor: middle }
  .line { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round }
  tspan { font-weight: 600 }
  .line.a { stroke: #0969da } .dot.a, tspan.a { fill: #0969da } .line.b { stroke: #bc4c00 } .dot.b, tspan.b { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .panel { fill: #151b23; stroke: #30363d } .grid { stroke: #2a313a }
    text { fill: #9198a1 } .title { fill: #f0f6fc }
    .line.a { stroke: #4493f8 } .dot.a, tspan.a { fill: #4493f8 } .line.b { stroke: #f0883e } .dot.b, tspan.b { fill: #f0883e }
  }`

// What is drawn of the figures: {title, unit of y, label of x, series: [{name, points: [[x, y]…]}]}.
export function panels({ idle, active, restrictions, replies, runes }) {
  const line = (name, points, x, y) => ({ name, points: points.map((point) => [x(point), y(point)]) })
  const count = (point) => point.count
  return [
    {
      title: 'Memory of idle connections',
      y: 'MiB',
      x: 'connections',
      series: [line('TCP', idle, count, (p) => p.tcpKb / 1024), line('WebSocket', idle, count, (p) => p.wsKb / 1024)],
    },
    {
      title: 'Calls a second',
      y: 'per second',
      x: 'connections, each calling without a pause',
      linear: true,
      series: [line('calls', active, count, (p) => p.calls_per_s)],
    },
    {
      title: 'Latency of a call',
      y: 'µs',
      x: 'connections, each calling without a pause',
      series: [line('p50', active, count, (p) => p.p50_us), line('p99', active, count, (p) => p.p99_us)],
    },
    {
      title: 'Gateway CPU per call',
      y: 'µs',
      x: 'restrictions of the rune',
      linear: true,
      series: [line('CPU', restrictions, (p) => p.count + 1, (p) => p.cpuUs)],
    },
    {
      title: 'Speed of long replies',
      y: 'MB per second',
      x: 'bytes of a reply',
      series: [
        line('at the client', replies, (p) => p.bytes, (p) => p.mb_per_s),
        line('per core', replies, (p) => p.bytes, (p) => p.mbPerCore),
      ],
    },
    {
      title: 'Runes handed out',
      y: 'ms and MiB',
      x: 'runes',
      series: [
        line('start, ms', runes, count, (p) => p.readyMs),
        line('memory, MiB', runes, count, (p) => p.rssKb / 1024),
      ],
    },
  ]
}

export function draw(panels, where) {
  const rows = Math.ceil(panels.length / COLUMNS)
  const width = MARGIN + COLUMNS * (PANEL.width + MARGIN)
  const height = MARGIN + rows * (PANEL.height + MARGIN) + 18
  const body = panels.map((panel, index) => {
    const x = MARGIN + (index % COLUMNS) * (PANEL.width + MARGIN)
    const y = MARGIN + Math.floor(index / COLUMNS) * (PANEL.height + MARGIN)
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="How the cost grows">
<style>${STYLE}
</style>
<rect class="page" width="${width}" height="${height}" rx="8"/>
${body.join('\n')}
<text x="${width - MARGIN}" y="${height - 12}" class="end">${escape(where)}</text>
</svg>
`
}

function drawPanel({ title, y: unit, x: label, linear, series }) {
  const { width, height, left, right, top, bottom } = PANEL
  const xs = series.flatMap(({ points }) => points.map(([x]) => x))
  const ys = series.flatMap(({ points }) => points.map(([, y]) => y))
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)]
  const ticks = linear ? steps(Math.max(...ys)) : decades(Math.min(...ys), Math.max(...ys))
  const [y0, y1] = [ticks[0], ticks.at(-1)]
  const scale = linear ? (value) => value : Math.log10
  const placeX = (x) => left + (Math.log10(x / x0) / Math.log10(x1 / x0)) * (width - left - right)
  const placeY = (y) => height - bottom - ((scale(y) - scale(y0)) / (scale(y1) - scale(y0))) * (height - top - bottom)

  const grid = ticks.map((tick) => {
    const y = round(placeY(tick))
    const line = `<line class="grid" x1="${left}" x2="${width - right}" y1="${y}" y2="${y}"/>`
    return `${line}<text class="end" x="${left - 6}" y="${y + 4}">${short(tick)}</text>`
  })
  const shown = xs.filter((x, index) => xs.indexOf(x) === index)
  const axis = shown.map((x) =>
    `<text class="middle" x="${round(placeX(x))}" y="${height - bottom + 15}">${tickName(x, label)}</text>`)
  const lines = series.map(({ points }, index) => {
    const kind = 'ab'[index]
    const places = points.map(([x, y]) => [round(placeX(x)), round(placeY(Math.max(y, y0)))])
    const dots = places.map(([x, y]) => `<circle class="dot ${kind}" cx="${x}" cy="${y}" r="3"/>`)
    return `<polyline class="line ${kind}" points="${places.join(' ')}"/>${dots.join('')}`
  })
  const names = series.map(({ name }, index) => `<tspan class="${'ab'[index]}" dx="${14 * index}">${escape(name)}</tspan>`)
  const legend = series.length > 1 ? `<text class="end" x="${width - right}" y="42">${names.join('')}</text>` : ''
  return `<rect class="panel" width="${width}" height="${height}" rx="6"/>
<text class="title" x="14" y="24">${escape(title)}</text><text x="14" y="42">${escape(unit)}</text>${legend}
${grid.join('')}
${axis.join('')}<text class="middle" x="${(left + width - right) / 2}" y="${height - 6}">${escape(label)}</text>
${lines.join('\n')}`
}

// From zero, four equal steps of a round size.
function steps(most) {
  const raw = most / 4
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= raw) * power
  return [0, 1, 2, 3, 4].map((index) => index * step)
}

// The powers of ten around both.
function decades(least, most) {
  const first = Math.floor(Math.log10(Math.max(least, 1e-2)))
  const last = Math.max(Math.ceil(Math.log10(most)), first + 1)
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index))
}

// Restrictions are drawn one to the right, as zero has no logarithm.
const tickName = (x, label) => short(label.startsWith('restrictions') ? x - 1 : x)
const round = (value) => Math.round(value * 10) / 10
const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
