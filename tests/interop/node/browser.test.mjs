// Headless Chromium: a page on an origin of its own bundles lnmessage and commands the node, over ws:// or, from a page
// on https, over wss:// under a certificate authority that the browser was told to trust.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { launchOptions } from './chromium.mjs'
import { Gateway, within } from './gateway.mjs'

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

/** Serves one page with its script and answers its address; with a certificate, over https. */
async function serve(t, script, certificate) {
  const page = `<!doctype html><meta charset="utf-8"><title>wallet</title>
    <p id="state"></p><p id="alias"></p><p id="id"></p><p id="refusal"></p><script type="module" src="/script.js"></script>`
  const answer = (request, response) => {
    const isScript = request.url === '/script.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : page)
  }
  const server = certificate ? createTlsServer(certificate, answer) : createServer(answer)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  return `${certificate ? 'https' : 'http'}://127.0.0.1:${server.address().port}`
}

function openssl(...args) {
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** An authority made for one test, and a certificate of it for 127.0.0.1. */
function authority(t) {
  const dir = mkdtempSync(join(tmpdir(), 'runeward-ca-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const file = (name) => join(dir, name)
  const key = (name) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', file(name)]
  openssl('req', '-x509', '-subj', '/CN=Test authority', '-days', '2', ...key('ca.key'), '-out', file('ca.pem'))
  openssl('req', '-subj', '/CN=gateway', ...key('key.pem'), '-out', file('request.pem'))
  writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
  const signed = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', file('names')]
  openssl('x509', '-req', '-in', file('request.pem'), ...signed, '-out', file('cert.pem'))
  chmodSync(file('key.pem'), 0o600)
  return {
    root: file('ca.pem'),
    cert: file('cert.pem'),
    key: file('key.pem'),
    args: ['--tls-cert', file('cert.pem'), '--tls-key', file('key.pem')],
    certificate: { cert: readFileSync(file('cert.pem')), key: readFileSync(file('key.pem')) },
  }
}

/** Makes the browser whose home this is trust an authority, as its own settings would. */
function trust(home, root) {
  const store = join(home, '.pki', 'nssdb')
  mkdirSync(store, { recursive: true })
  execFileSync('certutil', ['-N', '--empty-password', '-d', `sql:${store}`])
  execFileSync('certutil', ['-A', '-d', `sql:${store}`, '-n', 'test', '-t', 'C,,', '-i', root])
}

/** nginx before the gateway, set up as the README says; answers where it speaks https. */
async function startNginx(t, gateway, { cert, key }) {
  const dir = mkdtempSync(join(tmpdir(), 'runeward-nginx-'))
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
  const location = /^ {4}location \/ \{\n[^]*?\n {4}\}$/m.exec(readme)[0]
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${dir}/${what};`)
  const config = `
    ${process.getuid() === 0 ? 'user root;' : ''}
    daemon off; pid ${dir}/pid; error_log stderr; events {}
    http {
      access_log off; ${temporary.join(' ')}
      server {
        listen unix:${dir}/socket ssl; ssl_certificate ${cert}; ssl_certificate_key ${key};
        ${location.replace('127.0.0.1:9736', `127.0.0.1:${gateway.port}`)}
      }
    }`
  writeFileSync(join(dir, 'config'), config)
  const nginx = spawn(process.env.NGINX_BIN ?? 'nginx', ['-e', 'stderr', '-p', dir, '-c', join(dir, 'config')], { stdio: 'inherit' })
  const ended = new Promise((resolve) => nginx.on('error', resolve).on('exit', resolve))
  // It can listen on no port of the system's choice, this can.
  const port = net.createServer((outside) => {
    const inside = net.connect(join(dir, 'socket'))
    outside.pipe(inside).pipe(outside)
    outside.on('error', () => inside.destroy())
    inside.on('error', () => outside.destroy())
  })
  await new Promise((resolve) => port.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    port.close()
    nginx.kill('SIGTERM')
    await within(30, 'the end of nginx', ended)
    rmSync(dir, { recursive: true, force: true })
  })
  const up = (async () => {
    while (!existsSync(join(dir, 'pid'))) await new Promise((resolve) => setTimeout(resolve, 20))
  })()
  await within(30, 'nginx', Promise.race([up, ended.then((how) => assert.fail(`nginx does not run: ${how}`))]))
  return `127.0.0.1:${port.address().port}`
}

async function openBrowser(t, root) {
  const profile = mkdtempSync(join(tmpdir(), 'runeward-chromium-'))
  let context
  t.after(async () => {
    await context?.close()
    rmSync(profile, { recursive: true, force: true })
  })
  if (root) trust(profile, root)
  context = await chromium.launchPersistentContext(profile, {
    ...launchOptions(),
    // Where it looks for authorities to trust.
    env: { ...process.env, HOME: profile },
  })
  return context
}

/** Opens the page, which connects as told; answers what it shows once it has done, or failed. */
async function visit(browser, address, settings) {
  const page = await browser.newPage()
  const trouble = []
  page.on('console', (line) => trouble.push(line.text()))
  page.on('pageerror', (error) => trouble.push(String(error)))
  await page.goto(`${address}/#${new URLSearchParams(settings)}`)
  await within(60, 'the page', page.waitForFunction(() => document.getElementById('state').textContent, null, { timeout: 60_000 }))
  const text = (id) => page.locator(`#${id}`).textContent()
  return { state: await text('state'), alias: await text('alias'), id: await text('id'), refusal: await text('refusal'), trouble }
}

/** Asserts that the page ran its commands. */
async function assertServed(gateway, shown) {
  assert.equal(shown.state, 'done', shown.trouble.join('\n'))
  const { result } = await gateway.askNode('getinfo')
  assert.ok(result.alias)
  assert.equal(shown.alias, result.alias)
  assert.equal(shown.id, result.id)
  assert.equal(shown.refusal, 'Invalid rune: Not permitted: method is not equal to getinfo')
}

const settings = async (gateway, scheme) => {
  const { nodeId, host, port } = gateway
  return { nodeId, host, port, scheme, rune: await gateway.rune('method=getinfo') }
}

test('a web page runs getinfo over ws://', { timeout: 180_000 }, async (t) => {
  const gateway = await Gateway.start(t)
  const address = await serve(t, await bundle('browser-page.mjs'))
  const browser = await openBrowser(t)
  await assertServed(gateway, await visit(browser, address, await settings(gateway, 'ws:')))
})

test('a page on https runs getinfo over wss://', { timeout: 180_000 }, async (t) => {
  const { root, args, certificate } = authority(t)
  const gateway = await Gateway.start(t, { args })
  const address = await serve(t, await bundle('browser-page.mjs'), certificate)
  const browser = await openBrowser(t, root)
  await assertServed(gateway, await visit(browser, address, await settings(gateway, 'wss:')))
})

test('where origins are named, a page of one connects and a page of another does not', { timeout: 180_000 }, async (t) => {
  const { root, args, certificate } = authority(t)
  const script = await bundle('browser-page.mjs')
  const [allowed, forbidden] = [await serve(t, script, certificate), await serve(t, script, certificate)]
  const gateway = await Gateway.start(t, { args: [...args, '--allow-origin', allowed] })
  const browser = await openBrowser(t, root)
  const page = await browser.newPage()
  // lnmessage itself never says that it could not connect; the browser does.
  const refused = page.waitForEvent('console', { predicate: (line) => line.text().includes('403'), timeout: 60_000 })
  await page.goto(`${forbidden}/#${new URLSearchParams(await settings(gateway, 'wss:'))}`)
  await refused
  assert.equal(await page.locator('#alias').textContent(), '')
  await assertServed(gateway, await visit(browser, allowed, await settings(gateway, 'wss:')))
})

test('behind nginx, set up as the README says, the dashboard loads and connects', { timeout: 180_000 }, async (t) => {
  const made = authority(t)
  const gateway = await Gateway.start(t, { args: ['--allow-host', 'node.example', '--exempt-loopback'] })
  const host = await startNginx(t, gateway, made)
  const page = await (await openBrowser(t, made.root)).newPage()
  const rune = await gateway.rune('method^list|method^get')
  await page.goto(`https://${host}/#connect=commando+wss://${host}?pubkey=${gateway.nodeId}&rune=${rune}`)
  const { result } = await gateway.askNode('getinfo')
  await page.getByRole('button', { name: result.alias }).first().waitFor({ timeout: 60_000 })
})
