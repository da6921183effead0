// Money: what is there, what comes in, what goes out, and what nobody knows.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Gateway, connected, goTo, openBrowser, suiteContext, uriOf } from './support/dashboard.mjs'
import { Line } from './support/line.mjs'

describe('money', { timeout: 300_000 }, () => {
  const suite = suiteContext()
  let browser
  let gateway
  before(async () => {
    ;[browser, gateway] = await Promise.all([openBrowser(suite), Gateway.start(suite)])
  })
  after(() => suite.end())

  const ask = async (method, params, of = gateway) => {
    const { result, error } = await of.askNode(method, params)
    assert.equal(error, undefined, `${method}: ${error?.message}`)
    return result
  }
  /** `12 345` as a number. */
  const number = (text) => Number(text.replace(/[^\d−-]/g, '').replace('−', '-'))
  const sats = (msat) => Math.trunc(msat / 1000)
  const sum = (amounts) => amounts.reduce((total, amount) => total + amount, 0)

  const makeInvoice = async (page, amount, description) => {
    await goTo(page, 'Receive')
    await page.getByLabel('Amount', { exact: true }).fill(amount)
    await page.getByLabel('What for').fill(description)
    await page.getByRole('button', { name: 'Make an invoice' }).click()
    await page.getByText('Waiting to be paid').waitFor()
    const bolt11 = await page.getByTestId('bolt11').innerText()
    const code = await page.getByRole('img', { name: 'QR code' }).getAttribute('data-text')
    assert.equal(code, `LIGHTNING:${bolt11.toUpperCase()}`)
    return bolt11
  }
  const labelOf = async (bolt11, of) => (await ask('listinvoices', { invstring: bolt11 }, of)).invoices[0].label

  /** Pastes an invoice, which is read at once. */
  const review = async (page, bolt11) => {
    await goTo(page, 'Pay')
    await page.getByLabel('Invoice').fill(bolt11)
  }

  test('the overview shows what the node has', async (t) => {
    const page = await connected(t, browser, gateway)
    const { channels } = await ask('listpeerchannels')
    const { outputs } = await ask('listfunds')
    const total = sats(sum(channels.map((it) => it.to_us_msat)) + sum(outputs.map((it) => it.amount_msat)))
    const balance = page.getByRole('region', { name: 'Balance' })
    await balance.getByText('sats').first().waitFor()
    assert.equal(number(await balance.getByRole('button').locator('[aria-hidden]').innerText()), total)
    for (const amount of [
      sum(channels.map((it) => it.spendable_msat)),
      sum(channels.map((it) => it.receivable_msat)),
    ]) {
      const shown = await page.locator('.sum [aria-hidden]').allInnerTexts()
      assert.ok(shown.map(number).includes(sats(amount)), `${shown} hold ${amount}`)
    }
    const picture = page.getByRole('region', { name: 'Liquidity' })
    assert.equal(await picture.getByRole('img').count(), channels.length + 1)
    await picture.getByText('birch-crane').waitFor()

    // In another unit, and not at all.
    await balance.getByRole('button').click()
    assert.match(await balance.getByRole('button').innerText(), /0\.\d\d.\d{3}.\d{3}\s*BTC/)
    await page.getByRole('button', { name: 'Hide amounts' }).first().click()
    assert.ok(!/\d/.test(await balance.innerText()))
  })

  test('an invoice is paid while it is looked at', async (t) => {
    const page = await connected(t, browser, gateway)
    const bolt11 = await makeInvoice(page, '21000', 'Two flat whites')
    const decoded = await ask('decode', { string: bolt11 })
    assert.deepEqual([decoded.amount_msat, decoded.description], [21_000_000, 'Two flat whites'])
    await ask('dev-peerpays', { label: await labelOf(bolt11) })
    await page.getByRole('heading', { name: 'Received' }).waitFor()
    assert.equal(number(await page.locator('.paid [aria-hidden]').innerText()), 21_000)
    await goTo(page, 'Overview')
    const entry = page.getByRole('button', { name: /Two flat whites/ })
    await entry.click()
    await page.getByRole('dialog').getByText('Proof of payment').waitFor()
  })

  test('an invoice goes on waiting while the gateway is restarted', async (t) => {
    const own = await Gateway.start(t)
    const page = await connected(t, browser, own)
    const bolt11 = await makeInvoice(page, '500', 'over a restart')
    await own.stop()
    await page
      .getByText(/^No connection/)
      .first()
      .waitFor()
    await own.up()
    await page
      .getByText(/^Connected/)
      .first()
      .waitFor()
    await ask('dev-peerpays', { label: await labelOf(bolt11, own) }, own)
    await page.getByRole('heading', { name: 'Received' }).waitFor()
  })

  test('an invoice that expires can no longer be shown to anybody', async (t) => {
    const page = await connected(t, browser, gateway)
    await ask('invoice', { amount_msat: 1000, label: 'short', description: 'a short one', expiry: 4 })
    await goTo(page, 'Receive')
    await page.getByRole('button', { name: /a short one/ }).click()
    await page.getByText('This invoice has expired').waitFor()
    await page.getByRole('button', { name: 'New invoice' }).click()
    await page.getByLabel('Amount', { exact: true }).waitFor()
  })

  test('a payment is decoded, confirmed and made within its fee limit', async (t) => {
    const page = await connected(t, browser, gateway)
    const made = await ask('dev-peerinvoice', { amount_msat: 50_000_000, description: 'Coffee beans' })
    await review(page, made.bolt11)
    await page.getByText('Coffee beans').waitFor()
    assert.equal(number(await page.getByLabel('Fee, at most').inputValue()), 500)
    await page.getByLabel('Fee, at most').fill('120')
    await page.getByRole('button', { name: 'Continue' }).click()
    const sentence = await page.getByText('You pay').innerText()
    assert.match(sentence, /^You pay 50.000 sats to birch-crane, and at most 120 sats/)
    assert.deepEqual((await ask('listpays', { payment_hash: made.payment_hash })).pays, [], 'nothing is paid before')
    await page.getByRole('button', { name: /^Pay 50/ }).click()
    await page.getByRole('heading', { name: 'Paid' }).waitFor()
    const [paid] = (await ask('listpays', { payment_hash: made.payment_hash })).pays
    assert.deepEqual([paid.status, paid.label], ['complete', 'Coffee beans'])
    assert.equal(await page.locator('dd .mono').getAttribute('title'), paid.preimage)
  })

  test('who pays decides on the amount where the invoice leaves it open', async (t) => {
    const page = await connected(t, browser, gateway)
    const own = await ask('invoice', { amount_msat: 'any', label: 'open', description: 'as you like' })
    await review(page, `lightning:${own.bolt11.toUpperCase()}`)
    const amount = page.getByLabel(/^Amount:/)
    await amount.pressSequentially('1234567')
    assert.equal((await amount.inputValue()).replace(/\s/g, ' '), '1 234 567')
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('button', { name: /^Pay 1.234.567 sats/ }).click()
    await page.getByRole('heading', { name: 'Paid' }).waitFor()
    assert.equal((await ask('listinvoices', { label: 'open' })).invoices[0].amount_received_msat, 1_234_567_000)
  })

  test('what cannot be paid says why: another thing, an expired invoice, one without a way to it', async (t) => {
    const page = await connected(t, browser, gateway)
    await review(page, 'lnbc1nonsense')
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('alert').filter({ hasText: 'This cannot be paid' }).waitFor()

    const { bolt11 } = await ask('invoice', { amount_msat: 1000, label: 'late', description: 'late', expiry: 1 })
    await new Promise((resolve) => setTimeout(resolve, 2100))
    await page.getByLabel('Invoice').fill(bolt11)
    await page.getByText('This invoice has expired').waitFor()
    await page.getByRole('button', { name: 'Pay something else' }).click()

    const stranger = await Gateway.start(t)
    const lost = await ask('invoice', { amount_msat: 7000, label: 'far', description: 'far away' }, stranger)
    await page.getByLabel('Invoice').fill(lost.bolt11)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('button', { name: /^Pay 7/ }).click()
    await page.getByRole('heading', { name: 'Not paid' }).waitFor()
    await page.getByText(/Unknown destination node/).waitFor()
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('far away').waitFor()
  })

  test('a payment whose answer is lost is not known, and then found out', async (t) => {
    const line = await Line.start(t, gateway.port)
    const uri = uriOf(gateway, await gateway.rune(), line.port)
    const page = await connected(t, browser, gateway, { uri })
    const made = await ask('dev-peerinvoice', { amount_msat: 3_000_000, description: 'a lost answer' })
    await review(page, made.bolt11)
    await page.getByText('a lost answer').waitFor()
    await page.getByRole('button', { name: 'Continue' }).click()
    line.deaf = true
    await page.getByRole('button', { name: /^Pay 3/ }).click()
    const pays = async () => (await ask('listpays', { payment_hash: made.payment_hash })).pays
    while ((await pays())[0]?.status !== 'complete') await new Promise((resolve) => setTimeout(resolve, 50))
    line.closed = true
    line.cut()
    await page.getByRole('heading', { name: 'It is not known whether this was paid' }).waitFor()
    assert.ok(await page.getByRole('button', { name: 'Check again' }).isVisible())

    // Also when the page is left and comes back.
    await page.reload()
    await page.getByRole('heading', { name: 'It is not known whether this was paid' }).waitFor()
    line.deaf = line.closed = false
    await page.getByRole('heading', { name: 'Paid', exact: true }).waitFor()
    assert.equal((await pays()).length, 1)
    assert.ok(!(await page.evaluate(() => Object.keys(localStorage).join())).includes('paying'))
  })
})
