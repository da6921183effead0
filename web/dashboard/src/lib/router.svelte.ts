// Where the visitor is: the part of the address behind `#`, so that any static host will do.
import { whole } from './uri'

class Router {
  #hash = $state(location.hash)

  constructor() {
    addEventListener('hashchange', () => (this.#hash = location.hash))
  }

  /** What stands behind `#/`, up to a `?`: `overview`. Empty at the start, and for links as `#pair=…`. */
  get page(): string {
    return /^#\/([a-z]*)/.exec(this.#hash)?.[1] ?? ''
  }

  /** What stands behind the `?` of `#/pay?invoice=…`. */
  get query(): URLSearchParams {
    return new URLSearchParams(/^#\/[a-z]*\?(.*)$/.exec(this.#hash)?.[1] ?? '')
  }

  /**
   * The connection string of a link such as `#pair=commando+ws://…`, `&` and `=` and all, or of one that was encoded
   * as a whole. `undefined` where the address is no such link.
   */
  get link(): { kind: 'pair' | 'connect'; uri: string } | undefined {
    const found = /^#(pair|connect)=(.+)$/.exec(this.#hash)
    if (found === null) return undefined
    return { kind: found[1] as 'pair' | 'connect', uri: whole(found[2]!) }
  }

  go(page: string): void {
    location.hash = `#/${page}`
  }

  /** Goes there without a step back: a rune in the address must not stay in the history. */
  replace(page: string): void {
    history.replaceState(null, '', `#/${page}`)
    this.#hash = location.hash
  }
}

export const router = new Router()
