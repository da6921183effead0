// What a page shows of a node, kept fresh without a flicker.
import { LostNotSent, LostOutcomeUnknown, type RunewardError } from '@runeward/client'
import type { Node } from './node.svelte'

/** How often it is asked again while the page is looked at, in milliseconds. */
const EVERY = 15_000

/**
 * A value that is fetched from a page's node now, every 15 s, when the page is looked at again and when the connection comes back. The old
 * value stays until the new one is there. Make it while a component starts, `new Live(() => node, …)`; it ends with the component.
 */
export class Live<Value> {
  #value = $state.raw<Value>()
  #error = $state.raw<unknown>()
  readonly #fetch: () => Promise<Value>
  #running: Promise<void> | undefined

  constructor(of: () => Node, fetch: (node: Node) => Promise<Value>, every: number = EVERY) {
    const node = of()
    this.#fetch = () => fetch(node)
    const look = () => document.visibilityState === 'visible' && node.status.state === 'connected' && this.refresh()
    $effect(() => {
      if (node.known && node.status.state === 'connected') this.refresh()
    })
    $effect(() => {
      const timer = setInterval(look, every)
      document.addEventListener('visibilitychange', look)
      addEventListener('focus', look)
      return () => {
        clearInterval(timer)
        document.removeEventListener('visibilitychange', look)
        removeEventListener('focus', look)
      }
    })
  }

  /** The last that was fetched; `undefined` at first. */
  get value(): Value | undefined {
    return this.#value
  }

  /** Why the last try failed; `undefined` where it did not. A lost connection is no failure: it comes back. */
  get error(): unknown {
    return this.#error
  }

  /** Fetches now, unless it is being fetched. */
  refresh(): Promise<void> {
    this.#running ??= this.#fetch()
      .then(
        (value) => {
          this.#value = value
          this.#error = undefined
        },
        (error: RunewardError) => {
          if (!(error instanceof LostNotSent || error instanceof LostOutcomeUnknown)) this.#error = error
        },
      )
      .finally(() => (this.#running = undefined))
    return this.#running
  }
}
