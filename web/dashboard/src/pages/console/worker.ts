// Holds a large result, and tells of it what is looked at.
import { itemsOf, textOf } from './look'
import type { Asked, Told } from './source'

let root: unknown

const scope = self as unknown as { onmessage: (event: MessageEvent<Asked>) => void; postMessage(told: Told): void }

scope.onmessage = async ({ data }) => {
  const { id } = data
  try {
    if ('open' in data) {
      root = JSON.parse(await data.open.text())
      scope.postMessage({ id })
    } else if ('items' in data) {
      scope.postMessage({ id, value: itemsOf(root, ...data.items) })
    } else {
      scope.postMessage({ id, value: textOf(root, data.text) })
    }
  } catch (error) {
    scope.postMessage({ id, error: (error as Error).message })
  }
}
