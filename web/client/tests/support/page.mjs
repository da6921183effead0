// What the browser's page has: the client, and what its tests need beside it.
import * as client from '@runeward/client'
import { vectors } from './vectors.mjs'

/** What an error says, in a shape that leaves the page. */
const told = ({ name, kind, code, message, mayHaveRun, retryAfter }) => ({
  name,
  kind,
  code,
  message,
  mayHaveRun,
  retryAfter,
})
const outcome = (promise) =>
  promise.then(
    (result) => ({ result }),
    (error) => ({ error: told(error) }),
  )

globalThis.page = { ...client, vectors, outcome }
