// A result to look into, piece by piece: small ones here, large ones in a worker, so that the page never stands still.
import { itemsOf, textOf, type Item, type Path } from './look'

/** What a tree is drawn from. */
export interface Source {
  /** `count` members of what lies at `path`, from the one with number `from` on. */
  items(path: Path, from: number, count: number): Item[] | Promise<Item[]>
  /** The JSON text of what lies there, with line breaks. */
  text(path: Path): string | Promise<string>
  close(): void
}

/** The value of this JSON text. */
export function here(text: string): Source {
  const root = JSON.parse(text) as unknown
  return {
    items: (path, from, count) => itemsOf(root, path, from, count),
    text: (path) => textOf(root, path),
    close: () => {},
  }
}

/** The same in a worker. Fails where the text is no JSON, or too much for the browser. */
export async function apart(text: Blob): Promise<Source> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  const waiting = new Map<number, { resolve: (value: any) => void; reject: (error: Error) => void }>()
  let last = 0
  worker.onmessage = ({ data }: MessageEvent<Told>) => {
    const call = waiting.get(data.id)
    waiting.delete(data.id)
    if (data.error === undefined) call?.resolve(data.value)
    else call?.reject(new Error(data.error))
  }
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message || 'the browser ran out of memory'))
    waiting.clear()
  }
  const ask = <Value>(asked: AskedFor) =>
    new Promise<Value>((resolve, reject) => {
      const id = ++last
      waiting.set(id, { resolve, reject })
      worker.postMessage({ id, ...asked } satisfies Asked)
    })
  try {
    await ask({ open: text })
  } catch (error) {
    worker.terminate()
    throw error
  }
  return {
    items: (path, from, count) => ask<Item[]>({ items: [path, from, count] }),
    text: (path) => ask<string>({ text: path }),
    close: () => worker.terminate(),
  }
}

export type AskedFor = { open: Blob } | { items: [Path, number, number] } | { text: Path }
export type Asked = AskedFor & { id: number }
export interface Told {
  id: number
  value?: unknown
  error?: string
}
