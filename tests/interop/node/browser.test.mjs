// Headless Chromium: a page on an origin of its own bundles lnmessage and commands the node over ws://.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { Gateway, within } from './gateway.mjs'

function chromiumPath() {
  try {
    return execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim()
  } catch {
    throw new Error('chromium is missing: `make test` installs it')
  }
}

async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    logLevel: 'error',
  })
  return outputFiles[0].text
}

/** Serves one page with its script and answers its address. */
async function serve(t, script) {
  const page = `<!doctype html><meta charset="utf-8"><title>wallet</title>
    <p id="state"></p><p id="alias"></p><p id="id"></p><p id="refusal"></p><script type="module" src="/script.js"></script>`
  const server = createServer((request, response) => {
    const isScript = request.url === '/script.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : page)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  return `http://127.0.0.1:${server.address().port}/`
}

async function openBrowser(t) {
  const executablePath = chromiumPath()
  const profile = mkdtempSync(join(tmpdir(), 'runeward-chromium-'))
  let context
  t.after(async () => {
    await context?.close()
    rmSync(profile, { recursive: true, force: true })
  })
  context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    timeout: 60_000,
    // It opens nothing but the page above, so it needs no sandbox (root has none) and no network of its own.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
    ],
  })
  return context
}

test('a web page runs getinfo over ws://', { timeout: 180_000 }, async (t) => {
  const gateway = await Gateway.start(t)
  const address = await serve(t, await bundle('browser-page.mjs'))
  const browser = await openBrowser(t)
  const page = await browser.newPage()
  const trouble = []
  page.on('console', (line) => trouble.push(line.text()))
  page.on('pageerror', (error) => trouble.push(String(error)))

  const { nodeId, host, port } = gateway
  await page.goto(`${address}#${new URLSearchParams({ nodeId, host, port, rune: await gateway.rune('method=getinfo') })}`)
  await within(60, 'the page', page.waitForFunction(() => document.getElementById('state').textContent, null, { timeout: 60_000 }))

  const text = (id) => page.locator(`#${id}`).textContent()
  assert.equal(await text('state'), 'done', trouble.join('\n'))
  const { result } = await gateway.askNode('getinfo')
  assert.ok(result.alias)
  assert.equal(await text('alias'), result.alias)
  assert.equal(await text('id'), result.id)
  assert.equal(await text('refusal'), 'Invalid rune: Not permitted: method is not equal to getinfo')
})
