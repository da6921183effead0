// The dashboard as visitors have it: the page that the gateway serves, in Chromium, each visitor with a storage of their own.
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'
import { launchOptions } from '../../../../tests/interop/node/chromium.mjs'

export { Gateway, within } from '../../../../tests/interop/node/gateway.mjs'

/** Where a gateway serves it. */
export const siteOf = ({ host, port }) => `http://${host}:${port}/`

/** The connection string for a rune; by way of another port where one is given. */
export const uriOf = ({ host, port, nodeId }, rune, by = port) =>
  `commando+ws://${host}:${by}?pubkey=${nodeId}&rune=${rune}`

/** `t` (a test or suite context with `after`) closes it. `env`: such as a HOME whose authorities it trusts. */
export async function openBrowser(t, env = process.env, ...more) {
  const options = launchOptions()
  const browser = await chromium.launch({ ...options, env, args: [...options.args, ...more] })
  t.after(() => browser.close())
  return browser
}

/** What a lost connection writes to the console; all else there is a fault. */
const EXPECTED = /WebSocket connection|ERR_CONNECTION|ERR_CERT|Failed to load resource/

/** A visitor's page, of a phone's size unless told otherwise. What its console complains of fails the test. */
export async function visit(t, browser, address, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    reducedMotion: 'reduce',
    ...options,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const faults = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !EXPECTED.test(message.text())) faults.push(message.text())
  })
  t.after(async () => {
    await context.close()
    assert.deepEqual(faults, [], 'the page complains')
  })
  await page.goto(address)
  return page
}

/** Pastes a connection string on the page that asks for one. */
export async function paste(page, text) {
  await page.getByLabel('Connection string or rune').fill(text)
  await page.getByRole('button', { name: 'Connect' }).click()
}

/** A visitor who is connected with a rune of these restrictions, and sees the overview. */
export async function connected(t, browser, gateway, { restrictions = [], uri, ...options } = {}) {
  const page = await visit(t, browser, siteOf(gateway), options)
  await paste(page, uri ?? uriOf(gateway, await gateway.rune(...restrictions)))
  await page.getByRole('heading', { name: 'Overview' }).waitFor({ state: 'attached' })
  await page
    .getByText(/^Connected/)
    .first()
    .waitFor()
  return page
}

/** Goes to a page by the menu. */
export async function goTo(page, title) {
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: title }).click()
  await page.getByRole('heading', { name: title, level: 1 }).waitFor({ state: 'attached' })
}

/** A suite's own context: what `before` starts is stopped by `await suite.end()` in `after`. */
export function suiteContext() {
  const ends = []
  return {
    after: (end) => ends.unshift(end),
    end: async () => {
      for (const end of ends) await end()
    },
  }
}
