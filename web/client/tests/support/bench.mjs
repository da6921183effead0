// The load generator's node, whose `listchannels` has any size.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Starts it, and answers the path of its socket. */
export async function startBench(t, replyBytes) {
  const folder = mkdtempSync(join(tmpdir(), 'runeward-'))
  const socket = join(folder, 'node')
  const binary = join(dirname(process.env.RUNEWARD_BIN), 'runeward-bench')
  const node = spawn(binary, ['node', socket, '--reply-bytes', `${replyBytes}`], { stdio: 'ignore' })
  t.after(() => (node.kill(), rmSync(folder, { recursive: true, force: true })))
  for (let tries = 0; !existsSync(socket); tries++) {
    if (tries === 500) throw new Error(`${binary} did not start within 10 s`)
    await sleep(20)
  }
  return socket
}
