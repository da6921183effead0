// The log, while it is written.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Client, generateKey } from '@runeward/client'
import { Gateway, connected, goTo, openBrowser, suiteContext, uriOf } from './support/dashboard.mjs'

describe('audit', { timeout: 120_000 }, () => {
  const suite = suiteContext()
  let browser
  let gateway
  before(async () => {
    ;[browser, gateway] = await Promise.all([openBrowser(suite), Gateway.start(suite)])
  })
  after(() => suite.end())

  test('shows what others do as they do it, and finds it again', async (t) => {
    const page = await connected(t, browser, gateway)
    await goTo(page, 'Audit')
    const entries = page.locator('main li button')
    const till = new Client(uriOf(gateway, await gateway.rune('method=getinfo|method=invoice')), { key: generateKey() })
    t.after(() => till.close())
    await till.call('getinfo')
    await till.call('invoice', { amount_msat: 1000, label: 'a', description: 'b' })
    await assert.rejects(till.call('pay', { bolt11: 'lnbc1' }), { kind: 'refused-by-rune' })
    const list = async () => (await entries.locator('.title').allInnerTexts()).slice(0, 3)
    await entries.filter({ hasText: 'pay' }).waitFor()
    assert.deepEqual(await list(), ['pay', 'invoice', 'getinfo'], 'an intent and its outcome are one')

    await page.getByRole('radio', { name: 'Refused', exact: true }).check()
    assert.deepEqual(await entries.locator('.title').allInnerTexts(), ['pay'])
    await entries.first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('refused (19537)').waitFor()
    await dialog.getByText('spend', { exact: true }).waitFor()
    await dialog.getByText('The line of the log').click()
    assert.equal(JSON.parse(await dialog.locator('pre').innerText()).peer, till.nodeId)
    await page.keyboard.press('Escape')

    await page.getByRole('radio', { name: 'Changes', exact: true }).check()
    assert.deepEqual(await list(), ['invoice'])
    await page.getByRole('radio', { name: 'All', exact: true }).check()
    const search = page.getByLabel('Search the log')
    await search.fill(`${till.nodeId.slice(0, 12)} getinfo`)
    assert.deepEqual(await entries.locator('.title').allInnerTexts(), ['getinfo'])
    await search.fill('nothing like that')
    await page.getByRole('heading', { name: 'Nothing like that' }).waitFor()
    await page.getByRole('button', { name: 'Show all' }).click()

    await till.call('getinfo')
    await entries.filter({ hasText: 'getinfo' }).nth(1).waitFor()
    assert.equal(await entries.filter({ hasText: 'this browser' }).count(), 0, 'its own looks are not shown')
    await page.getByLabel('What this browser looked at, too').check()
    await entries.filter({ hasText: 'this browser' }).first().waitFor()
  })

  test('who may not read it is told so', async (t) => {
    const page = await connected(t, browser, gateway, { restrictions: ['method^list'] })
    await goTo(page, 'Audit')
    await page.getByRole('heading', { name: 'Your rune does not let you read the audit log' }).waitFor()
  })
})
