// How tests start Chromium: headless, and with no need of a network.
import { execFileSync } from 'node:child_process'

function executable() {
  try {
    return execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim()
  } catch {
    throw new Error('chromium is missing: `make test` installs it')
  }
}

/** Playwright's launch options. A suite opens nothing but pages of its own, so it needs no sandbox (root has none). */
export const launchOptions = () => ({
  executablePath: executable(),
  headless: true,
  timeout: 60_000,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-dev-shm-usage',
  ],
})
