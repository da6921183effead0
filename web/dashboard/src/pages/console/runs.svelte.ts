// What was run in the console, and what came back. It lasts as long as the page is open: replies can hold secrets.
import { Aborted, type RunewardError } from '@runeward/client'
import type { Node } from '../../lib/node.svelte'
import { CommandError, parseCommand, type Command } from './command'
import { apart, here, type Source } from './source'

/** Longest reply that is read right here, and longest that is read in a worker without being asked to, in characters. */
const SMALL = 500_000
const LARGE = 10_000_000
/** What of a longer one is shown as it is. */
const HEAD = 1500
/** Text that is put away as one, in characters, so that no one step takes long. */
const BATCH = 4_000_000
/** How often a running count is shown, in milliseconds. */
const SHOWN = 100
/** Runs that are kept. */
const KEPT = 30

export class Run {
  readonly id: number
  /** As it was typed. */
  readonly text: string
  /** What that was read as; `undefined` where it could not be. */
  readonly command: Command | undefined
  /** Milliseconds since 1970. */
  readonly at = Date.now()
  #state = $state<'running' | 'done' | 'failed'>('running')
  #length = $state(0)
  #took = $state(0)
  #error = $state.raw<RunewardError | CommandError>()
  #source = $state.raw<Source>()
  #reading = $state(false)
  #unreadable = $state<string>()
  #head = $state('')
  #blob: Blob | undefined
  readonly #abort = new AbortController()

  /** Starts it. */
  constructor(id: number, node: Node, text: string) {
    this.id = id
    this.text = text
    try {
      this.command = parseCommand(text)
      void this.#run(node, this.command)
    } catch (error) {
      this.#error = error as CommandError
      this.#state = 'failed'
    }
  }

  get state(): 'running' | 'done' | 'failed' {
    return this.#state
  }

  /** Characters of the reply, so far. */
  get length(): number {
    return this.#length
  }

  /** Milliseconds from the call to the end of the reply. */
  get took(): number {
    return this.#took
  }

  get error(): RunewardError | CommandError | undefined {
    return this.#error
  }

  /** The reply, to look into; `undefined` while it is not read. */
  get source(): Source | undefined {
    return this.#source
  }

  /** A worker is reading it. */
  get reading(): boolean {
    return this.#reading
  }

  /** Why it cannot be looked into. */
  get unreadable(): string | undefined {
    return this.#unreadable
  }

  /** How a long reply begins. */
  get head(): string {
    return this.#head
  }

  /** The reply as it came. */
  get blob(): Blob | undefined {
    return this.#blob
  }

  /** Ends the call here; a command that was sent goes on at the node. */
  stop(): void {
    this.#abort.abort()
  }

  /** Has a worker read a long reply. */
  async read(): Promise<void> {
    if (this.#blob === undefined || this.#reading) return
    this.#reading = true
    this.#unreadable = undefined
    try {
      this.#source = await apart(this.#blob)
    } catch (error) {
      this.#unreadable = (error as Error).message
    }
    this.#reading = false
  }

  close(): void {
    this.stop()
    this.#source?.close()
  }

  async #run(node: Node, { method, params }: Command): Promise<void> {
    const begun = performance.now()
    const batches: Blob[] = []
    let pieces: string[] = []
    let [length, waiting, shown] = [0, 0, begun]
    const putAway = () => {
      batches.push(new Blob(pieces))
      if (batches.length === 1) this.#head = pieces.join('').slice(0, HEAD)
      pieces = []
      waiting = 0
    }
    try {
      for await (const piece of node.stream(method, params, { signal: this.#abort.signal, timeout: Infinity })) {
        pieces.push(piece)
        length += piece.length
        waiting += piece.length
        if (waiting > BATCH) putAway()
        if (performance.now() - shown > SHOWN) {
          shown = performance.now()
          this.#length = length
        }
      }
      if (length <= SMALL) this.#source = here(pieces.join(''))
      putAway()
      this.#blob = new Blob(batches, { type: 'application/json' })
      this.#state = 'done'
      if (length > SMALL && length <= LARGE) void this.read()
    } catch (error) {
      this.#error = error as RunewardError
      this.#state = 'failed'
    }
    this.#length = length
    this.#took = performance.now() - begun
  }
}

/** Whether the visitor ended it. */
export function wasStopped(run: Run): boolean {
  return run.error instanceof Aborted
}

/** The runs on one node, the last first. */
export class Runs {
  #list = $state.raw<Run[]>([])
  #last = 0

  get list(): readonly Run[] {
    return this.#list
  }

  start(node: Node, text: string): void {
    const list = [new Run(++this.#last, node, text.trim()), ...this.#list]
    list.splice(KEPT).forEach((run) => run.close())
    this.#list = list
  }

  clear(): void {
    this.#list.forEach((run) => run.close())
    this.#list = []
  }
}

const all = new WeakMap<Node, Runs>()

/** The runs on this node, also those from before the visitor looked at another page. */
export function runsOf(node: Node): Runs {
  const known = all.get(node) ?? new Runs()
  all.set(node, known)
  return known
}
