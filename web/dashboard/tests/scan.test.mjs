// Codes seen by the camera: Chromium is given a film of one.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encode } from 'uqr'
import { Gateway, connected, goTo, openBrowser, siteOf, uriOf, visit } from './support/dashboard.mjs'

const WIDTH = 640
const HEIGHT = 480

/** A film of one frame (YUV4MPEG2, 4:2:0) that shows the QR code of a text. */
function film(text) {
  const { data, size } = encode(text, { border: 4 })
  const scale = Math.floor(HEIGHT / size)
  const luma = Buffer.alloc(WIDTH * HEIGHT, 235)
  data.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (!dark) return
      for (let line = y * scale; line < (y + 1) * scale; line++) {
        const start = line * WIDTH + x * scale
        luma.fill(16, start, start + scale)
      }
    }),
  )
  const chroma = Buffer.alloc((WIDTH * HEIGHT) / 2, 128)
  return Buffer.concat([Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip C420\nFRAME\n`), luma, chroma])
}

/** A browser whose camera sees this text. */
async function browserThatSees(t, text) {
  const folder = mkdtempSync(join(tmpdir(), 'runeward-film-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'code.y4m')
  writeFileSync(path, film(text))
  const camera = ['--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${path}`]
  return openBrowser(t, undefined, ...camera)
}

test('the camera reads a pairing code', { timeout: 120_000 }, async (t) => {
  const gateway = await Gateway.start(t)
  const { uri } = await gateway.pair('--preset', 'watch').next()
  const browser = await browserThatSees(t, `${siteOf(gateway)}#pair=${uri}`)
  const page = await visit(t, browser, siteOf(gateway), { permissions: ['camera'] })
  await page.getByRole('button', { name: 'Scan a QR code' }).click()
  await page.getByRole('heading', { name: 'Pair this device' }).waitFor()
  await page.getByRole('button', { name: 'Pair', exact: true }).click()
  await page.getByRole('heading', { name: 'Paired' }).waitFor()
})

test('the camera reads an invoice', { timeout: 120_000 }, async (t) => {
  const gateway = await Gateway.start(t)
  const made = (await gateway.askNode('dev-peerinvoice', { amount_msat: 4_000_000, description: 'On film' })).result
  const browser = await browserThatSees(t, `LIGHTNING:${made.bolt11.toUpperCase()}`)
  const uri = uriOf(gateway, await gateway.rune())
  const page = await connected(t, browser, gateway, { uri, permissions: ['camera'] })
  await goTo(page, 'Pay')
  await page.getByRole('button', { name: 'Scan a QR code' }).click()
  await page.getByText('On film').waitFor()
  assert.equal(await page.getByRole('dialog').count(), 0)
})
