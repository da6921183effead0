// The lines of the log, put together to what happened.
import type { Node } from '../../lib/node.svelte'

/** A line as the gateway tells it. */
export interface Line {
  /** RFC 3339, in UTC. */
  time: string
  seq: number
  kind: 'intent' | 'outcome' | 'call' | 'refusal' | 'gap' | 'note'
  peer?: string
  address?: string
  /** Unique id. */
  rune?: number
  name?: string
  method?: string
  class?: string
  /** The number of the line that this one tells the outcome of. */
  intent?: number
  outcome?: 'done' | 'error' | 'refused' | 'not sent' | 'unknown'
  code?: number
  why?: string
  duration_us?: number
  bytes?: number
  /** How many are missing. */
  lines?: number
  hash: string
}

/** A request from its intent to its outcome, or a note of the log itself. */
export interface Entry {
  /** The number of its first line. */
  seq: number
  /** UNIX seconds. */
  at: number
  what: 'request' | 'note' | 'gap'
  /** It was recorded before it happened, as it could change something. */
  changes: boolean
  outcome: NonNullable<Line['outcome']> | 'under way'
  /** All that its lines say; the later ones over the earlier. */
  line: Line
  lines: Line[]
}

/** Entries of lines in any order, the last first. */
export function entriesOf(lines: Iterable<Line>): Entry[] {
  const entries = new Map<number, Entry>()
  for (const line of [...lines].sort((a, b) => a.seq - b.seq)) {
    const begun = line.intent === undefined ? undefined : entries.get(line.intent)
    if (begun !== undefined) {
      begun.outcome = line.outcome ?? 'unknown'
      begun.line = { ...begun.line, ...line, time: begun.line.time, seq: begun.seq }
      begun.lines.push(line)
      continue
    }
    entries.set(line.seq, {
      seq: line.seq,
      at: Date.parse(line.time) / 1000,
      what: line.kind === 'note' || line.kind === 'gap' ? line.kind : 'request',
      changes: line.kind === 'intent' || line.kind === 'outcome',
      outcome: line.outcome ?? 'under way',
      line,
      lines: [line],
    })
  }
  return [...entries.values()].reverse()
}

export type Filter = 'all' | 'changes' | 'refused' | 'errors'

export function passes(entry: Entry, filter: Filter): boolean {
  if (filter === 'all') return true
  if (filter === 'changes') return entry.what === 'gap' || entry.changes
  if (filter === 'refused') return entry.outcome === 'refused'
  return entry.what === 'gap' || ['error', 'not sent', 'unknown'].includes(entry.outcome)
}

/** Whether it says all of these words somewhere. `words`: what the peer is shown by. */
export function says(entry: Entry, search: readonly string[], words: string): boolean {
  const { method, name, peer, address, why, code, rune } = entry.line
  const text = [method, entry.line.class, name, peer, address, why, code, rune, entry.outcome, words]
    .join(' ')
    .toLowerCase()
  return search.every((word) => text.includes(word))
}

/** A look of this very browser that came to what it should: without these there is more to see. */
export function isOwnLook(entry: Entry, node: Node): boolean {
  return entry.outcome === 'done' && !entry.changes && entry.line.peer === node.whoami?.node_id
}

/** A look into the log, which each look would add to. */
export function isOwnLookIntoLog(entry: Entry, node: Node): boolean {
  return entry.line.method === 'runeward-audit' && entry.line.peer === node.whoami?.node_id
}
