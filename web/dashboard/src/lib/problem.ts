// Errors, for people: what happened, and what to do.
import { RefusedByLimit, RefusedByRune, Refused, RunewardError } from '@runeward/client'

export interface Problem {
  /** What happened, in a few words. */
  title: string
  /** Why, and what to do. */
  text: string
  /** The rune is in the way, not the node. */
  refused: boolean
}

/** `what`: what was tried, such as `make the invoice`. */
export function problem(error: unknown, what = 'do this'): Problem {
  const text = sentence(error instanceof Error ? error.message : String(error))
  if (error instanceof RefusedByRune) return { title: `The rune does not let you ${what}`, text, refused: true }
  if (error instanceof RefusedByLimit) {
    const seconds = Math.max(1, Math.ceil(error.retryAfter / 1000))
    return { title: 'That was too much at once', text: `${text} Try again in ${seconds} s.`, refused: false }
  }
  if (error instanceof Refused) return { title: `The node could not ${what}`, text, refused: false }
  if (error instanceof RunewardError && error.mayHaveRun) {
    return { title: 'The answer was lost', text: `${text} Whether the node did it is not known.`, refused: false }
  }
  return { title: `Could not ${what}`, text, refused: false }
}

/** A message as a sentence. */
export function sentence(text: string): string {
  const trimmed = text.trim()
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? '' : '.')
}
