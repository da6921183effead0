// A rune that is being thought out: what the form says, and the restrictions that come of it.
import { Restriction, type Alternative, type Condition } from '@runeward/client/runes'
import type { PresetName } from './presets'

export interface ParameterRule {
  name: string
  condition: Condition
  value: string
}

export interface Draft {
  /** `undefined`: rules of its own. */
  preset: PresetName | undefined
  /** Commands as typed: `getinfo, list*`. */
  commands: string
  /** Commands that are taken out again. */
  without: string
  parameters: ParameterRule[]
  /** How many commands in `unit`; `undefined`: as many as there are. */
  often: number | undefined
  unit: 'min' | 'hour' | 'day'
  /** The only caller it serves. */
  peer: string
  /** Restrictions as they are written, one a line. */
  raw: string
}

export const CONDITIONS: readonly { condition: Condition; title: string }[] = [
  { condition: '=', title: 'is' },
  { condition: '/', title: 'is not' },
  { condition: '<', title: 'is less than' },
  { condition: '>', title: 'is more than' },
  { condition: '^', title: 'starts with' },
  { condition: '$', title: 'ends with' },
  { condition: '~', title: 'contains' },
  { condition: '!', title: 'is left out' },
]

export function emptyDraft(): Draft {
  return {
    preset: 'watch',
    commands: '',
    without: '',
    parameters: [],
    often: undefined,
    unit: 'hour',
    peer: '',
    raw: '',
  }
}

/**
 * The restrictions that the form comes to, beside its preset and its end. Throws, in words, what cannot be read.
 */
export function restrictionsOf(draft: Draft): Alternative[][] {
  const all: Alternative[][] = []
  if (draft.preset === undefined) {
    const allowed = names(draft.commands)
    if (allowed.length > 0) all.push(allowed.map((name) => method(name, '=')))
    all.push(...names(draft.without).map((name) => [method(name, '/')]))
  }
  for (const { name, condition, value } of draft.parameters) {
    if (name.trim() === '') continue
    // Fields hold no punctuation; the gateway compares names without theirs too.
    const field = `pname${name.trim().replace(/[^A-Za-z0-9_]/g, '')}`
    all.push([{ field, condition, value: condition === '!' ? '' : value.trim() }])
  }
  if (draft.often) all.push([{ field: 'quota', condition: '=', value: `${draft.often}/${draft.unit}` }])
  if (draft.peer.trim() !== '') all.push([{ field: 'id', condition: '=', value: draft.peer.trim().toLowerCase() }])
  for (const line of draft.raw.split('\n').map((line) => line.trim())) {
    if (line !== '') all.push([...Restriction.parse(line).alternatives])
  }
  return all
}

/** As a rune holds them. */
export function encoded(restriction: readonly Alternative[]): string {
  return restriction
    .map(({ field, condition, value }) => `${field}${condition}${value.replace(/[\\|&]/g, '\\$&')}`)
    .join('|')
}

/** As `createrune` and its kin take them: each alternative a text without escapes. */
export function spelled(restriction: readonly Alternative[]): string[] {
  return restriction.map(({ field, condition, value }) => `${field}${condition}${value}`)
}

function names(typed: string): string[] {
  return typed.split(/[\s,]+/).filter((name) => name !== '')
}

/** `list*` means all that start so. */
function method(name: string, exactly: '=' | '/'): Alternative {
  if (!name.endsWith('*')) return { field: 'method', condition: exactly, value: name }
  if (exactly === '/') throw new Error(`name the commands to leave out one by one: ${name} could be any number of them`)
  return { field: 'method', condition: '^', value: name.slice(0, -1) }
}
