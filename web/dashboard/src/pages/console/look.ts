// What is shown of a value and its members.

/** Names and numbers of members, from the root on. */
export type Path = readonly (string | number)[]

/** A member: what stands in its line. */
export interface Item {
  /** Its name, or its number in an array; `null` for the root. */
  key: string | number | null
  kind: 'object' | 'array' | 'string' | 'number' | 'word'
  /** What it says, or for an object a few of its members; cut where it is long. */
  text: string
  cut: boolean
  /** How many members it has. */
  size: number
}

/** Most characters of a string that are shown. */
const MOST = 600
/** Most characters that say what is in an object. */
const GLANCE = 72

export function itemsOf(root: unknown, path: Path, from: number, count: number): Item[] {
  const value = at(root, path)
  if (Array.isArray(value)) {
    return value.slice(from, from + count).map((member: unknown, index) => item(from + index, member))
  }
  if (typeof value !== 'object' || value === null) return [item(null, value)]
  return Object.entries(value)
    .slice(from, from + count)
    .map(([name, member]) => item(name, member))
}

export function textOf(root: unknown, path: Path): string {
  const value = at(root, path)
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}

/** What stands in the line of a value. */
export function item(key: Item['key'], value: unknown): Item {
  if (Array.isArray(value)) return { key, kind: 'array', text: '', cut: false, size: value.length }
  if (typeof value === 'object' && value !== null) {
    return { key, kind: 'object', text: glance(value), cut: false, size: Object.keys(value).length }
  }
  if (typeof value === 'string') {
    return { key, kind: 'string', text: value.slice(0, MOST), cut: value.length > MOST, size: 0 }
  }
  const kind = typeof value === 'number' ? 'number' : 'word'
  return { key, kind, text: String(value), cut: false, size: 0 }
}

/** The first members that say something in few characters. */
function glance(value: object): string {
  let text = ''
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name]
    if (typeof member === 'object') continue
    const next = `${text === '' ? '' : ', '}${name}: ${String(member).slice(0, 24)}`
    if (text.length + next.length > GLANCE) break
    text += next
  }
  return text
}

function at(root: unknown, path: Path): unknown {
  return path.reduce((value: unknown, key) => (value as Record<string | number, unknown>)[key], root)
}
