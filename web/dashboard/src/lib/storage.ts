// What a page keeps in the visitor's browser: small things in localStorage, which private windows may refuse.

const PREFIX = 'runeward.'

/** What was kept under this name; `undefined` where nothing was, or nothing readable. */
export function load<Value>(name: string): Value | undefined {
  try {
    const text = localStorage.getItem(PREFIX + name)
    return text === null ? undefined : (JSON.parse(text) as Value)
  } catch {
    return undefined
  }
}

/** Keeps a value, under a name that ends with `.ID` where it belongs to the node of that id; `undefined` wipes it. Where there is no storage it lasts as long as the page. */
export function save(name: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name)
    else localStorage.setItem(PREFIX + name, JSON.stringify(value))
  } catch {
    // Nothing can be kept here.
  }
}

/** Wipes whatever was kept for a node: under names that end with a dot and its id. */
export function wipe(id: string): void {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX) && name.endsWith(`.${id}`))
    names.forEach((name) => localStorage.removeItem(name))
  } catch {
    // Nothing was kept here.
  }
}

/** Calls `changed` when another tab of this site keeps something else under this name. */
export function watch(name: string, changed: () => void): void {
  addEventListener('storage', (event) => {
    // Without a key everything was wiped.
    if (event.key === PREFIX + name || event.key === null) changed()
  })
}
