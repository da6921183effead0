// The build itself: what is in it, what it weighs, how the gateway sends it, and that any other host does as well.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { Gateway, goTo, openBrowser, paste, siteOf, visit } from './support/dashboard.mjs'
import { DIST, authority, host } from './support/host.mjs'

const FIRST_LOAD = 150_000

const files = () =>
  readdirSync(DIST, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath, path }) => join(parentPath ?? path, name))

describe('the build', { timeout: 120_000 }, () => {
  test('holds no key, no rune and no address, and nothing of third parties', () => {
    for (const file of files()) {
      if (/\.(woff2|gz)$/.test(file)) continue
      const text = readFileSync(file, 'utf8')
      const found = (pattern) => text.match(pattern) ?? []
      // The curve's own constants are 64 digits; a node id has 66 and begins so, a rune is longer than any name.
      assert.deepEqual(found(/\b0[23][0-9a-f]{64}\b/gi), [], file)
      assert.deepEqual(found(/(rune|token)=[A-Za-z0-9_-]{20,}/g), [], file)
      assert.deepEqual(
        found(/\b\d{1,3}(\.\d{1,3}){3}:\d+/g),
        file.endsWith('.js') ? found(/0\.0\.0\.0:9736/g) : [],
        file,
      )
      // Names of XML, a licence, an example, and where errors are explained; nothing of it is loaded.
      const elsewhere = found(/\b(?:https?|wss?):\/\/[a-z0-9][^\s"'`)]*/gi).filter(
        (url) =>
          !/^(ws:\/\/host:port|https?:\/\/(www\.w3\.org|svelte\.dev|openfontlicense\.org|scripts\.sil\.org|github\.com))\b/.test(
            url,
          ),
      )
      assert.deepEqual(elsewhere, [], file)
    }
  })

  test('is sent as it should be, compressed and not', async (t) => {
    const gateway = await Gateway.start(t)
    const site = siteOf(gateway)
    const page = await fetch(site)
    const html = await page.text()
    assert.equal(html, readFileSync(join(DIST, 'index.html'), 'utf8'))
    const meta = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)[1].replaceAll('&#39;', "'")
    assert.equal(page.headers.get('content-security-policy'), `${meta}; frame-ancestors 'none'`)
    assert.ok(!/unsafe|data:|https?:/.test(meta), meta)
    const again = await fetch(site, { headers: { 'if-none-match': page.headers.get('etag') } })
    assert.equal(again.status, 304)
    const paths = files()
      .map((file) => file.slice(DIST.length))
      .filter((path) => !path.endsWith('.gz') && path !== 'index.html')
    for (const path of paths) {
      const plain = await fetch(site + path, { headers: { 'accept-encoding': 'identity' } })
      assert.equal(plain.status, 200, path)
      assert.equal(plain.headers.get('content-encoding'), null, path)
      assert.deepEqual(Buffer.from(await plain.arrayBuffer()), readFileSync(join(DIST, path)), path)
      assert.equal(/immutable/.test(plain.headers.get('cache-control')), path.startsWith('assets/'), path)
      const packed = await fetch(site + path, { headers: { 'accept-encoding': 'gzip' } })
      assert.deepEqual(Buffer.from(await packed.arrayBuffer()), readFileSync(join(DIST, path)), path)
    }
    for (const file of files().filter((file) => file.endsWith('.gz'))) {
      assert.deepEqual(gunzipSync(readFileSync(file)), readFileSync(file.slice(0, -3)), file)
    }
  })

  test('weighs little at the first visit, and asks nobody else for anything', async (t) => {
    const [browser, gateway] = await Promise.all([openBrowser(t), Gateway.start(t)])
    const page = await visit(t, browser, 'about:blank')
    const asked = []
    page.on('request', (request) => asked.push(request.url()))
    await page.goto(siteOf(gateway))
    await page.getByRole('heading', { name: 'Your node, from wherever you are' }).waitFor()
    assert.ok(
      asked.every((url) => url.startsWith(siteOf(gateway))),
      asked.join('\n'),
    )
    const sizes = await page.evaluate(() =>
      ['navigation', 'resource']
        .flatMap((type) => performance.getEntriesByType(type))
        .map(({ name, encodedBodySize }) => [name, encodedBodySize]),
    )
    const total = sizes.reduce((sum, [, size]) => sum + size, 0)
    assert.ok(total > 10_000 && total < FIRST_LOAD, `${total} bytes: ${JSON.stringify(sizes)}`)
  })

  test('does the same from another host, on https, over wss', async (t) => {
    const { args, certificate, env } = authority(t)
    const [browser, gateway, address] = await Promise.all([
      openBrowser(t, env),
      Gateway.start(t, { args }),
      host(t, certificate),
    ])
    const rune = await gateway.rune()
    const page = await visit(t, browser, address)
    await paste(page, `${gateway.ready.uri_wss}&rune=${rune}`)
    const { alias } = (await gateway.askNode('getinfo')).result
    await page.getByRole('button', { name: alias }).waitFor()
    await goTo(page, 'Console')
    await page.getByRole('combobox').fill('getinfo')
    await page.keyboard.press('Enter')
    await page.getByText(`"${alias}"`).waitFor()

    // A phone is sent to the same host, and reaches the gateway over wss there, too.
    await goTo(page, 'Access')
    await page.getByRole('link', { name: 'Pair a device' }).click()
    await page.getByRole('button', { name: 'Show the code' }).click()
    const link = await page.getByLabel('Pairing code').getAttribute('data-text')
    assert.ok(link.startsWith(`${address}#pair=commando+wss://${gateway.host}:${gateway.port}?`), link)
    const phone = await visit(t, browser, link)
    await phone.getByLabel('What to call this device').fill('Pixel 9')
    await phone.getByRole('button', { name: 'Pair', exact: true }).click()
    await page.getByRole('heading', { name: 'Paired: Pixel 9' }).waitFor()
    await phone.getByRole('button', { name: 'Open the dashboard' }).click()
    await phone.getByRole('button', { name: alias }).waitFor()
  })
})
