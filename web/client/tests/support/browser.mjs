// Headless Chromium with a page that has the client in it, served from an origin of its own.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { launchOptions } from '../../../../tests/interop/node/chromium.mjs'

/** One file of the package's entry, or of a test's, as a browser gets it. */
export async function bundle(entry, options) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    logLevel: 'error',
    ...options,
  })
  return outputFiles[0].text
}

/** Serves the page and its script, and answers the address. */
export async function serve(t) {
  const script = await bundle('page.mjs')
  const page =
    '<!doctype html><meta charset="utf-8"><title>wallet</title><script type="module" src="/script.js"></script>'
  const server = createServer((request, response) => {
    const isScript = request.url === '/script.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : page)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  return `http://127.0.0.1:${server.address().port}/`
}

export async function openBrowser(t) {
  const profile = mkdtempSync(join(tmpdir(), 'runeward-chromium-'))
  const options = launchOptions()
  let context
  t.after(async () => {
    await context?.close()
    rmSync(profile, { recursive: true, force: true })
  })
  context = await chromium.launchPersistentContext(profile, {
    ...options,
    args: [...options.args, '--enable-precise-memory-info'],
  })
  return context
}
