// The ways in, and out: a pasted string, a pairing code, several nodes, a rune that allows little or no longer anything.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Rune } from '@runeward/client/runes'
import {
  Gateway,
  connected,
  goTo,
  openBrowser,
  paste,
  siteOf,
  suiteContext,
  uriOf,
  visit,
} from './support/dashboard.mjs'

describe('connecting', { timeout: 300_000 }, () => {
  const suite = suiteContext()
  let browser
  let gateway
  before(async () => {
    ;[browser, gateway] = await Promise.all([openBrowser(suite), Gateway.start(suite)])
  })
  after(() => suite.end())

  const stored = (page) => page.evaluate(() => ({ ...localStorage }))
  const keys = (page) =>
    page.evaluate(async () => {
      const opening = indexedDB.open('runeward')
      await new Promise((resolve) => (opening.onsuccess = resolve))
      if (!opening.result.objectStoreNames.contains('keys')) return []
      const all = opening.result.transaction('keys').objectStore('keys').getAllKeys()
      await new Promise((resolve) => (all.onsuccess = resolve))
      opening.result.close()
      return all.result
    })

  test('a pasted connection string opens the node, and it stays', async (t) => {
    const { alias } = (await gateway.askNode('getinfo')).result
    const rune = await gateway.rune()
    const page = await visit(t, browser, siteOf(gateway))
    await page.getByRole('heading', { name: 'Your node, from wherever you are' }).waitFor()
    await paste(page, `  ${uriOf(gateway, rune)}\n`)
    await page.getByRole('button', { name: alias }).waitFor()
    assert.ok(!page.url().includes(rune), 'the address holds no rune')
    await page.reload()
    await page.getByRole('button', { name: alias }).waitFor()
    await page
      .getByText(/^Connected/)
      .first()
      .waitFor()
    assert.match(await page.title(), new RegExp(`^Overview · ${alias}$`))
  })

  test('a rune without its address asks where the node is', async (t) => {
    const rune = await gateway.rune('method^list', 'method/listdatastore')
    const page = await visit(t, browser, siteOf(gateway))
    await paste(page, rune)
    await page.getByText('Whose rune is it?').waitFor()
    await page.getByLabel('Where its node is').fill(`${gateway.nodeId}@${gateway.host}:${gateway.port}`)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page
      .getByText(/^Connected/)
      .first()
      .waitFor()
  })

  test('what cannot work says why, and nothing is kept', async (t) => {
    const page = await visit(t, browser, siteOf(gateway))
    const other = await Gateway.start(t)
    for (const [text, said] of [
      ['hello', /no rune in it/],
      [uriOf(gateway, await other.rune()), /does not accept this rune/],
      [uriOf({ ...gateway, nodeId: other.nodeId }, await other.rune(), gateway.port), /Could not connect/],
      [uriOf({ ...gateway, host: '127.0.0.1', nodeId: gateway.nodeId }, 'xyz', 1), /Could not connect/],
    ]) {
      await paste(page, text)
      assert.match(await page.getByRole('alert').filter({ hasText: said }).innerText(), said)
    }
    assert.deepEqual(await stored(page), {})
    assert.deepEqual(await keys(page), [])
  })

  test('a link connects at once, and leaves no rune in the address or the history', async (t) => {
    const rune = await gateway.rune()
    const page = await visit(t, browser, `${siteOf(gateway)}#connect=${uriOf(gateway, rune)}`)
    await page
      .getByText(/^Connected/)
      .first()
      .waitFor()
    assert.ok(!page.url().includes(rune))
    await page.goBack()
    assert.ok(!page.url().includes(rune))

    // One to another node does not: it could be anybody's, and pose as the visitor's own.
    const other = await Gateway.start(t)
    await page.goto(`${siteOf(gateway)}#connect=${uriOf(other, await other.rune())}`)
    await page.getByText('which this browser does not know').waitFor()
    assert.equal(JSON.parse((await stored(page))['runeward.nodes']).length, 1)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page
      .getByText(/^Connected/)
      .first()
      .waitFor()
    assert.equal(JSON.parse((await stored(page))['runeward.nodes']).length, 2)
  })

  test('a phone that opens the pairing link gets a rune of its own; a second one gets none', async (t) => {
    const offer = gateway.pair('--preset', 'watch')
    const { uri } = await offer.next()
    const phone = await visit(t, browser, `${siteOf(gateway)}#pair=${uri}`)
    await phone.getByLabel('What to call this device').fill('Pixel 9')
    assert.ok(!phone.url().includes('rune='))
    await phone.getByRole('button', { name: 'Pair', exact: true }).click()
    await phone.getByRole('heading', { name: 'Paired' }).waitFor()
    const claimed = await offer.next()
    assert.equal(claimed.name, 'Pixel 9')
    assert.equal(
      claimed.fingerprint,
      await phone.locator('.words').innerText(),
      'both screens show the same three words',
    )
    await phone.getByRole('button', { name: 'Open the dashboard' }).click()
    await phone
      .getByText(/^Connected/)
      .first()
      .waitFor()

    const thief = await visit(t, browser, `${siteOf(gateway)}#pair=${encodeURIComponent(uri)}`)
    await thief.getByRole('button', { name: 'Pair', exact: true }).click()
    await thief.getByText('This code has been used').waitFor()
    assert.deepEqual(await stored(thief), {})
    assert.deepEqual(await keys(thief), [])
  })

  test('the text of a pairing code can be pasted; one that has expired says so', async (t) => {
    const { uri } = await gateway.pair('--for', '1s').next()
    const page = await visit(t, browser, siteOf(gateway))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await paste(page, uri)
    await page.getByRole('heading', { name: 'Pair this device' }).waitFor()
    await page.getByRole('button', { name: 'Pair', exact: true }).click()
    await page.getByText('This code has expired').waitFor()
    await page.getByRole('button', { name: 'Connect another way' }).click()
    await page.getByLabel('Connection string or rune').waitFor()
  })

  test('two nodes side by side; forgetting one wipes its rune and its key', async (t) => {
    const other = await Gateway.start(t)
    const page = await connected(t, browser, gateway)
    const switcher = page.locator('button[aria-haspopup=dialog]').first()
    await switcher.click()
    await page.getByRole('button', { name: 'Connect another node' }).click()
    await paste(page, uriOf(other, await other.rune()))
    await page
      .getByText(/^Connected/)
      .first()
      .waitFor()
    const ids = async () => (await keys(page)).sort()
    const [first, second] = JSON.parse((await stored(page))['runeward.nodes'])
    assert.deepEqual([first.pubkey, second.pubkey], [gateway.nodeId, other.nodeId])
    assert.deepEqual(await ids(), [first.id, second.id].sort())

    const nodeId = async () => page.locator('dd .mono').first().getAttribute('title')
    const idOf = async (of) => (await of.askNode('getinfo')).result.id
    await page.getByText('Node id').waitFor()
    assert.equal(await nodeId(), await idOf(other))
    await switcher.click()
    await page.getByRole('dialog').getByRole('listitem').first().getByRole('button').first().click()
    const expected = await idOf(gateway)
    await page.locator(`dd .mono[title="${expected}"]`).waitFor()

    await switcher.click()
    await page
      .getByRole('dialog')
      .getByRole('listitem')
      .last()
      .getByRole('button', { name: /^Forget/ })
      .click()
    await page.getByRole('button', { name: 'Forget this node' }).click()
    await page.getByText('is forgotten').waitFor()
    assert.equal(JSON.parse((await stored(page))['runeward.nodes']).length, 1)
    assert.deepEqual(await ids(), [first.id])
    await switcher.click()
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Forget/ })
      .click()
    await page.getByRole('button', { name: 'Forget this node' }).click()
    await page.getByLabel('Connection string or rune').waitFor()
    assert.deepEqual(await keys(page), [])
    assert.ok(!JSON.stringify(await stored(page)).includes('rune='))
  })

  test('what a rune does not allow is shown as not allowed, page by page', async (t) => {
    const page = await connected(t, browser, gateway, { restrictions: ['method=getinfo'] })
    await page.getByText('Your rune does not let you see balances and channels').waitFor()
    await page.getByText('Your rune does not let you see payments and invoices').waitFor()
    await page.getByText('4 open').waitFor()
    await goTo(page, 'Receive')
    await page.getByText('Your rune does not let you make invoices').waitFor()
    await goTo(page, 'Pay')
    await page.getByText('Your rune does not let you pay').waitFor()
    await page.getByText('What it allows').click()
    await page.getByText(/getinfo\.$/).waitFor()
  })

  test('a rune that is revoked while it is looked at says so, and the node is not forgotten', async (t) => {
    const rune = await gateway.rune()
    const page = await connected(t, browser, gateway, { uri: uriOf(gateway, rune) })
    await goTo(page, 'Receive')
    await gateway.run('rune', 'revoke', Rune.decode(rune).uniqueId)
    await page.getByRole('button', { name: 'Make an invoice' }).click()
    await page.getByRole('heading', { name: 'This rune was revoked' }).waitFor()
    await page.getByRole('link', { name: 'Connect with a new rune' }).click()
    await paste(page, uriOf(gateway, await gateway.rune()))
    await page.getByText('You can send').waitFor()
    assert.equal(JSON.parse((await stored(page))['runeward.nodes']).length, 1)
  })
})
