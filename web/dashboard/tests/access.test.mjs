// Handing out and taking back, with a second visitor at the other end.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Rune } from '@runeward/client/runes'
import { Gateway, connected, goTo, openBrowser, paste, siteOf, suiteContext, visit } from './support/dashboard.mjs'

describe('access', { timeout: 180_000 }, () => {
  const suite = suiteContext()
  let browser
  let gateway
  before(async () => {
    ;[browser, gateway] = await Promise.all([openBrowser(suite), Gateway.start(suite)])
  })
  after(() => suite.end())

  const owner = async (t) => {
    const page = await connected(t, browser, gateway)
    await goTo(page, 'Access')
    return page
  }
  const grant = (page, name) => page.getByRole('button', { name })
  const grants = async () => JSON.parse(await gateway.run('rune', 'list', '--json')).grants
  const tryOut = async (page, command) => {
    await page.getByLabel('Try a command').fill(command)
    await page.getByRole('button', { name: 'Try', exact: true }).click()
    return page.locator('.answer .tag').innerText()
  }

  test('a rune by preset: tried, made, used by another browser, and cut off live', async (t) => {
    const page = await owner(t)
    await page.getByRole('link', { name: 'New rune' }).click()
    await page.getByLabel('Who or what is it for?').fill('Shop till')
    await page.getByText('Receive', { exact: true }).last().click()
    await page.getByLabel('Good for').selectOption('30 days')
    await page.getByText('It can make invoices, offers and addresses, and see what was paid.').last().waitFor()
    await page.getByText(/^It can fill the node's disk with records/).waitFor()
    assert.match(await tryOut(page, 'invoice 1000 a b'), /^Allowed: /)
    assert.match(await tryOut(page, 'pay lnbc1'), /^Refused: .*not equal to/)
    const known = (await grants()).length
    await page.getByRole('button', { name: 'Make the rune' }).click()
    await page.getByRole('heading', { name: 'Shop till is ready' }).waitFor()
    const uri = await page.locator('[data-form=uri]').innerText()
    const made = (await grants()).find(({ name }) => name === 'Shop till')
    assert.equal((await grants()).length, known + 1, 'trying made none')
    assert.deepEqual([made.preset, made.uses], ['receive', 0])
    assert.equal(String(made.unique_id), Rune.decode(uri.split('rune=')[1]).uniqueId)

    const till = await visit(t, browser, siteOf(gateway))
    await paste(till, uri)
    await goTo(till, 'Receive')
    await page.getByRole('button', { name: 'Done' }).click()
    await grant(page, /^Shop till/).click()
    await page.getByRole('button', { name: 'Revoke…' }).click()
    await page.getByText('This cannot be undone').waitFor()
    await page.getByRole('button', { name: 'Revoke Shop till' }).click()
    await page.getByText('Shop till is revoked').waitFor()
    await grant(page, /^Shop till/).waitFor({ state: 'detached' })
    await page.getByRole('radio', { name: /^Ended/ }).check()
    await grant(page, /^Shop till.*revoked/).waitFor()
    // Whatever it does next, it is told.
    await till.getByRole('link', { name: 'Overview' }).click()
    await till.getByRole('heading', { name: 'This rune was revoked' }).waitFor()
  })

  test('rules of one’s own are said in words, and tried, as they are put together', async (t) => {
    const page = await owner(t)
    await page.getByRole('link', { name: 'New rune' }).click()
    await page.getByText('My own rules').click()
    await page.getByText('No limits: it can do everything the node can.').waitFor()
    await page.getByLabel('Only these commands').fill('getinfo, list*, pay')
    await page.getByText('Only these commands: getinfo, pay, and those that start with list.').waitFor()
    await page.getByLabel('But not').fill('listdatastore')
    await page.getByLabel('At most, commands').fill('60')
    await page.getByText('At most 60 commands an hour.').waitFor()
    await page.getByRole('button', { name: 'Limit a parameter' }).click()
    await page.getByLabel('Parameter', { exact: true }).fill('amount_msat')
    await page.getByLabel('Value').fill('100001')
    await page.getByText('The parameter amount_msat must be below 100,001.').waitFor()
    assert.match(await tryOut(page, 'pay lnbc1 amount_msat=5'), /all parameters as name=value/)
    assert.match(await tryOut(page, 'pay bolt11=lnbc1 amount_msat=200000'), /^Refused: .*amount_?msat/i)
    assert.match(await tryOut(page, 'pay bolt11=lnbc1 amount_msat=5'), /^Allowed: /)
    assert.match(await tryOut(page, 'listdatastore'), /^Refused: /)
    await page.getByRole('button', { name: 'For experts' }).click()
    await page.getByLabel('Restrictions as written').fill('nosuch!')
    await page.getByRole('alert').filter({ hasText: 'nosuch' }).waitFor()
    assert.ok(await page.getByRole('button', { name: 'Make the rune' }).isDisabled())
    await page.getByLabel('Restrictions as written').fill('')
    await page.getByRole('button', { name: 'Make the rune' }).click()
    await page.getByRole('radio', { name: 'Rune alone' }).check()
    const rune = Rune.decode(await page.locator('[data-form=rune]').innerText())
    assert.deepEqual(rune.restrictions.map(String), [
      'method=getinfo|method^list|method=pay',
      'method/listdatastore',
      'pnameamount_msat<100001',
      'quota=60/hour',
    ])
  })

  test('a device is paired by a code, known by three words, and a second one is told of', async (t) => {
    const page = await owner(t)
    await page.getByRole('link', { name: 'Pair a device' }).click()
    await page.getByRole('button', { name: 'Show the code' }).click()
    await page.getByText(/Only this machine reaches 127\.0\.0\.1/).waitFor()
    const link = await page.getByLabel('Pairing code').getAttribute('data-text')
    assert.ok(link.startsWith(`${siteOf(gateway)}#pair=commando+ws://`), link)

    const phone = await visit(t, browser, link)
    await phone.getByLabel('What to call this device').fill('Pixel 9')
    await phone.getByRole('button', { name: 'Pair', exact: true }).click()
    await page.getByRole('heading', { name: 'Paired: Pixel 9' }).waitFor()
    const words = await page.locator('.words').innerText()
    assert.equal(words.split(' ').length, 3)
    await phone.getByText(words).waitFor()

    const thief = await visit(t, browser, link)
    await thief.getByRole('button', { name: 'Pair', exact: true }).click()
    await thief.getByText('This code has been used').waitFor()
    await page.getByRole('alert').filter({ hasText: 'This code was used twice.' }).waitFor()

    await phone.getByRole('button', { name: 'Open the dashboard' }).click()
    await phone
      .getByText(/^Connected/)
      .first()
      .waitFor()
    await page.getByRole('button', { name: 'Revoke' }).click()
    await page.getByText('Pixel 9 is revoked').waitFor()
    await phone.reload()
    await phone.getByRole('heading', { name: 'This rune was revoked' }).waitFor()
  })

  test('a code that is taken back is good for nothing, nor is one that was left', async (t) => {
    const page = await owner(t)
    await page.getByRole('link', { name: 'Pair a device' }).click()
    for (const leave of [() => page.getByRole('button', { name: 'Take it back' }).click(), () => page.goBack()]) {
      await page.getByRole('button', { name: 'Show the code' }).click()
      const link = await page.getByLabel('Pairing code').getAttribute('data-text')
      await leave()
      const phone = await visit(t, browser, link)
      await phone.getByRole('button', { name: 'Pair', exact: true }).click()
      await phone.getByText('This code was taken back').waitFor()
    }
  })

  test('who may not see it is told so', async (t) => {
    const page = await connected(t, browser, gateway, { restrictions: ['method=getinfo|method=runeward-grants'] })
    await goTo(page, 'Access')
    await grant(page, /^owner|^Rune \d+/)
      .first()
      .click()
    await page.getByText('Your rune does not let you revoke it').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('link', { name: 'Pair a device' }).click()
    await page.getByRole('heading', { name: 'Your rune does not let you pair devices' }).waitFor()
    const other = await connected(t, browser, gateway, { restrictions: ['method=getinfo'] })
    await goTo(other, 'Access')
    await other.getByRole('heading', { name: 'Your rune does not let you see and change who has access' }).waitFor()
    await other.getByText('What it allows').click()
    await other.getByText('Only the command getinfo.').waitFor()
  })
})
