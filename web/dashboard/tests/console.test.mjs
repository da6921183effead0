// The console: typed, completed, run, looked into; and replies that are too long for a page.
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Gateway, connected, goTo, openBrowser, suiteContext } from './support/dashboard.mjs'

describe('console', { timeout: 180_000 }, () => {
  const suite = suiteContext()
  let browser
  let gateway
  before(async () => {
    ;[browser, gateway] = await Promise.all([openBrowser(suite), Gateway.start(suite)])
  })
  after(() => suite.end())

  const open = async (t, options, from = gateway) => {
    const page = await connected(t, browser, from, options)
    await goTo(page, 'Console')
    return page
  }
  const line = (page) => page.getByRole('combobox', { name: 'Command' })
  const run = async (page, text) => {
    await line(page).fill(text)
    await line(page).press('Escape')
    await line(page).press('Enter')
    return page.getByRole('article').first()
  }

  test('completes commands, names their parameters, and shows what comes back', async (t) => {
    const page = await open(t)
    await line(page).pressSequentially('listpeer')
    const choices = page.getByRole('option')
    await choices.first().waitFor()
    assert.deepEqual(await choices.locator('.name').allInnerTexts(), ['listpeerchannels', 'listpeers'])
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    assert.match(await line(page).inputValue(), /^listpeers ?$/)
    await line(page).fill('invoice ')
    await page.getByRole('button', { name: 'amount_msat', exact: false }).click()
    await page.keyboard.type('2000')
    await page.getByRole('button', { name: 'label', exact: false }).click()
    await page.keyboard.type('"two words" description=')
    await page.keyboard.type("'tea, please'")
    await page.keyboard.press('Enter')
    const answer = page.getByRole('article').first()
    await answer.getByText('"lnbcrt', { exact: false }).waitFor()
    const { result } = await gateway.askNode('listinvoices', { label: 'two words' })
    assert.equal(result.invoices[0].description, 'tea, please')
    assert.equal(result.invoices[0].amount_msat, 2000)

    const channels = await run(page, 'listpeerchannels')
    const first = channels.getByRole('button', { name: /^0( peer_id.*)?$/ })
    await first.click()
    await channels.getByText('short_channel_id').first().waitFor()
    await first.click()
    assert.equal(await channels.getByText('short_channel_id').count(), 0, 'folded, it is not drawn')

    await line(page).press('ArrowUp')
    await line(page).press('ArrowUp')
    assert.match(await line(page).inputValue(), /^invoice .*'tea, please'$/, 'what was run comes back')
    await goTo(page, 'Overview')
    await goTo(page, 'Console')
    assert.equal(await page.getByRole('article').count(), 2, 'and stays while the page does')
  })

  test('says what went wrong, and in whose way it was', async (t) => {
    const page = await open(t, {
      restrictions: ['method^get|method=help|method=pay', 'pnamebolt11^lnbcrt1|method/pay'],
    })
    for (const [typed, said] of [
      ['GetInfo', /GetInfo is no command’s name/],
      ['getinfo a=1 b', /all parameters as name=value, or all by position/],
      ['getinfo {"a":', /bracket is not closed/],
      ['getnothing', /Unknown command/],
    ]) {
      const answer = await run(page, typed)
      await answer.getByRole('alert').filter({ hasText: said }).waitFor()
    }
    await line(page).pressSequentially('listfunds')
    await page.getByText('Your rune does not allow listfunds').waitFor()
    for (const [typed, why] of [
      ['listfunds', 'Method does not start with get AND method is not equal to help AND method is not equal to pay.'],
      ['pay bolt11=lnbc1x', 'Parameter bolt11 does not start with lnbcrt1 AND method is equal to pay.'],
    ]) {
      const answer = await run(page, typed)
      await answer.getByText('Why was it refused?').click()
      await answer.getByText(why).first().waitFor()
      await answer.getByText('Only these commands: ').first().waitFor()
    }
    // Nothing of that cost the rune or the page anything.
    await (await run(page, 'getinfo')).getByText('"runeward-demo"').waitFor()
  })

  test('a reply of 50 MB does not freeze the page', async (t) => {
    const large = await Gateway.start(t, { demoChannels: 58_000 })
    const page = await open(t, {}, large)
    await page.evaluate(() => {
      globalThis.frames = 0
      const tick = () => ((globalThis.frames += 1), requestAnimationFrame(tick))
      tick()
    })
    const answer = await run(page, 'listchannels')
    await answer.getByText(/^\d+\.\d MB…$/).waitFor()
    const before = await page.evaluate(() => globalThis.frames)
    await line(page).fill('getinfo')
    assert.equal(await line(page).inputValue(), 'getinfo', 'there is typing meanwhile')
    await answer.getByText(/^\d+\.\d MB · /).waitFor({ timeout: 120_000 })
    const drawn = (await page.evaluate(() => globalThis.frames)) - before
    assert.ok(drawn >= 3, `${drawn} frames were drawn while it came`)
    const megabytes = Number(/([\d.]+) MB/.exec(await answer.getByRole('status').innerText())[1])
    assert.ok(megabytes >= 50, `${megabytes} MB`)

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      answer.getByRole('button', { name: 'Download the result' }).click(),
    ])
    assert.equal(download.suggestedFilename(), 'listchannels.json')
    assert.ok(Math.abs(statSync(await download.path()).size / 1e6 - megabytes) < 0.1)

    await answer.getByRole('button', { name: 'Look inside' }).click()
    const all = answer.getByRole('button', { name: 'channels 116000 items' })
    await all.waitFor({ timeout: 60_000 })
    await all.click()
    const rows = answer.getByRole('button', { name: /^\d+ source:/ })
    await rows.first().waitFor()
    assert.equal(await rows.count(), 100, 'a hundred are drawn')
    await answer.getByRole('button', { name: 'Show 100 more' }).click()
    await answer.getByRole('button', { name: /^199 source:/ }).click()
    await answer.getByText('short_channel_id').first().waitFor()
  })
})
