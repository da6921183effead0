// Every page for everybody: no serious fault by axe-core, light and dark, on a phone and on a desk.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import { Gateway, connected, goTo, openBrowser, siteOf, suiteContext, visit } from './support/dashboard.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const SIZES = [
  { width: 390, height: 844 },
  { width: 1280, height: 800 },
]

describe('for everybody', { timeout: 180_000 }, () => {
  const suite = suiteContext()
  let browser
  let gateway
  before(async () => {
    ;[browser, gateway] = await Promise.all([openBrowser(suite), Gateway.start(suite)])
    await gateway.run('rune', 'create', '--name', 'till', '--preset', 'receive')
  })
  after(() => suite.end())

  /** What axe finds serious, in both themes and at both sizes. */
  async function check(page, what) {
    await page.evaluate(axe)
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      for (const size of SIZES) {
        await page.setViewportSize(size)
        // Colours have come to where they go.
        await page.waitForTimeout(300)
        const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
        const faults = found.violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(
            ({ id, nodes }) =>
              `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`,
          )
        assert.deepEqual(faults, [], `${what}, ${colorScheme}, ${size.width} wide`)
      }
    }
    await page.setViewportSize(SIZES[0])
  }

  test('the way in', async (t) => {
    await check(await visit(t, browser, siteOf(gateway)), 'Connect')
    const { next } = gateway.pair()
    const { uri } = await next()
    const page = await visit(t, browser, `${siteOf(gateway)}#pair=${uri}`)
    await page.getByRole('heading', { name: 'Pair this device' }).waitFor()
    await check(page, 'Pair this device')
  })

  test('every page', async (t) => {
    const page = await connected(t, browser, gateway)
    for (const title of ['Overview', 'Receive', 'Pay', 'Console', 'Access', 'Audit']) {
      await goTo(page, title)
      await page.waitForTimeout(500)
      await check(page, title)
    }
    await goTo(page, 'Console')
    for (const typed of ['listpeerchannels', 'nosuch']) {
      await page.getByRole('combobox').fill(typed)
      await page.keyboard.press('Escape')
      await page.keyboard.press('Enter')
    }
    await page.getByRole('alert').waitFor()
    await page.getByRole('combobox').fill('list')
    await page.getByRole('combobox').press('ArrowDown')
    await check(page, 'Console in use')
    await goTo(page, 'Access')
    await page.getByRole('button', { name: /^till/ }).click()
    await check(page, 'A grant')
    await page.keyboard.press('Escape')
    await page.getByRole('link', { name: 'New rune' }).click()
    await page.getByText('My own rules').click()
    await page.getByRole('button', { name: 'Limit a parameter' }).click()
    await page.getByRole('button', { name: 'For experts' }).click()
    await check(page, 'New rune')
    await page.goto(`${siteOf(gateway)}#/access?pair`)
    await check(page, 'Pair a device')
    await page.getByRole('button', { name: 'Show the code' }).click()
    await page.getByLabel('Pairing code').waitFor()
    await check(page, 'A pairing code')
  })

  test('every page of a rune that allows nothing', async (t) => {
    const page = await connected(t, browser, gateway, { restrictions: ['method=getinfo'] })
    for (const title of ['Overview', 'Receive', 'Pay', 'Console', 'Access', 'Audit']) {
      await goTo(page, title)
      await check(page, `${title}, not allowed`)
    }
  })
})
