// What other nodes call themselves, as far as our node's view of the network tells.
import { SvelteMap } from 'svelte/reactivity'
import type { Node } from './node.svelte'

/** Most that are asked for at once. */
const MOST = 50

export class Aliases {
  readonly #names = new SvelteMap<string, string>()
  readonly #asked = new Set<string>()

  /** Its alias, or the start of its id. */
  of(id: string): string {
    return this.#names.get(id) || `${id.slice(0, 10)}…`
  }

  /** Looks up those that were not looked up before. Fails at nothing: a name is a nicety. */
  async learn(node: Node, ids: readonly string[]): Promise<void> {
    if (!node.can('listnodes')) return
    const fresh = [...new Set(ids)].filter((id) => !this.#asked.has(id)).slice(0, MOST)
    const filter = { nodes: [{ alias: true }] }
    await Promise.all(
      fresh.map(async (id) => {
        this.#asked.add(id)
        try {
          const { nodes } = await node.call('listnodes', { id }, { filter })
          if (nodes[0]?.alias) this.#names.set(id, nodes[0].alias)
        } catch {
          this.#asked.delete(id)
        }
      }),
    )
  }
}
