// A static host that has nothing to do with the gateway, on https under an authority made for one test.
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What was built. */
export const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
}

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })

/** An authority, a certificate of it for 127.0.0.1, and a home whose browser trusts it. */
export function authority(t) {
  const home = mkdtempSync(join(tmpdir(), 'runeward-ca-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  const file = (name) => join(home, name)
  const key = (name) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', file(name)]
  openssl('req', '-x509', '-subj', '/CN=Test authority', '-days', '2', ...key('ca.key'), '-out', file('ca.pem'))
  openssl('req', '-subj', '/CN=gateway', ...key('key.pem'), '-out', file('request.pem'))
  writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
  const signer = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2']
  openssl('x509', '-req', '-in', file('request.pem'), ...signer, '-extfile', file('names'), '-out', file('cert.pem'))
  chmodSync(file('key.pem'), 0o600)
  const store = join(home, '.pki', 'nssdb')
  mkdirSync(store, { recursive: true })
  execFileSync('certutil', ['-N', '--empty-password', '-d', `sql:${store}`])
  execFileSync('certutil', ['-A', '-d', `sql:${store}`, '-n', 'test', '-t', 'C,,', '-i', file('ca.pem')])
  return {
    args: ['--tls-cert', file('cert.pem'), '--tls-key', file('key.pem')],
    certificate: { cert: readFileSync(file('cert.pem')), key: readFileSync(file('key.pem')) },
    env: { ...process.env, HOME: home },
  }
}

/** Serves the build in a folder of its own, as any static host would, and answers its address. */
export async function host(t, certificate) {
  const folder = '/wallets/mine/'
  const server = createServer(certificate, (request, response) => {
    const path = new URL(request.url, 'https://h').pathname
    const name = path === folder ? 'index.html' : path.slice(folder.length)
    try {
      const file = readFileSync(join(DIST, name))
      response.setHeader('content-type', TYPES[extname(name)] ?? 'text/plain')
      response.end(file)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  return `https://127.0.0.1:${server.address().port}${folder}`
}
