// What is published: its contents, its types, its size, and that what its documentation shows runs.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { build } from 'esbuild'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { Gateway } from '../../../tests/interop/node/gateway.mjs'
import { ScriptedNode } from './support/node.mjs'

const execute = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json')))
const MAX_GZIPPED = 35_000

/** The code blocks of a language in a text of Markdown, or in the comments of a source file. */
function blocks(text, language) {
  const bare = text.replaceAll(/^ *\* ?/gm, '')
  return [...bare.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))].map(([, code]) => code)
}

describe('the package', { timeout: 300_000 }, () => {
  const suite = { ends: [], after: (end) => suite.ends.unshift(end) }
  const folder = mkdtempSync(join(tmpdir(), 'runeward-'))
  suite.after(() => rmSync(folder, { recursive: true, force: true }))
  let packed
  let tarball
  let uri
  let rune
  let offer
  before(async () => {
    // `dist` is built before the tests, and they run in parallel: building it again would pull it away.
    const { stdout } = await execute('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: root,
    })
    ;[packed] = JSON.parse(stdout)
    tarball = join(folder, packed.filename)
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    await execute('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', tarball], {
      cwd: folder,
    })

    const gateway = await Gateway.start(suite)
    rune = await gateway.rune('method=getinfo|method=invoice|method^list')
    uri = `commando+ws://${gateway.host}:${gateway.port}?pubkey=${gateway.nodeId}&rune=${rune}`
    const node = await ScriptedNode.start({
      request: (peer, request) =>
        peer.reply(request, JSON.stringify({ result: { rune: request.json.method === 'runeward-pair' ? rune : '' } })),
    })
    suite.after(() => node.stop())
    offer = `${node.wsUri}&rune=offer`
  })
  after(async () => {
    for (const end of suite.ends) await end()
  })

  /** Runs a module beside the installed package. */
  const run = async (name, code, ...args) => {
    writeFileSync(join(folder, name), code)
    return (await execute(process.execPath, [name, ...args], { cwd: folder, timeout: 30_000 })).stdout
  }

  test('holds what is built, its sources and its documents, and nothing else', () => {
    const expected = ['LICENSE', 'README.md', 'package.json']
    for (const source of readdirSync(join(root, 'src'), { recursive: true })) {
      if (!source.endsWith('.ts')) continue
      expected.push(`src/${source}`)
      for (const end of ['.js', '.js.map', '.d.ts', '.d.ts.map']) expected.push(`dist/${source.replace(/\.ts$/, end)}`)
    }
    assert.deepEqual(packed.files.map(({ path }) => path).sort(), expected.sort())
  })

  test('has nothing that publint or arethetypeswrong would change', async () => {
    const { messages } = await publint({ pkgDir: root, strict: true, pack: false })
    assert.deepEqual(
      messages.map((message) => formatMessage(message, manifest)),
      [],
    )
    const { problems } = await checkPackage(createPackageFromTarballData(readFileSync(tarball)))
    // It is ESM alone, with subpaths: `require` of it and resolution as before `exports` are not offered.
    const meant = ({ kind, resolutionKind }) => kind === 'CJSResolvesToESM' || resolutionKind === 'node10'
    assert.deepEqual(
      problems.filter((problem) => !meant(problem)),
      [],
    )
  })

  test('has types that strict compilers take, in Node.js and for bundlers', async () => {
    const code = `
      import { connect, RefusedByLimit, RunewardError, type Status } from '@runeward/client'
      import { Rune, type Alternative } from '@runeward/client/runes'
      const client = await connect('x', { key: new Uint8Array(32), reconnect: false })
      const info: { id: string } = await client.call<{ id: string }>('getinfo', { a: 1n })
      const text: string = await client.call('getinfo', [], { text: true })
      for await (const piece of client.stream('getinfo', undefined, { timeout: 5 })) piece.length
      const status: Status = client.status
      if (status.state === 'waiting') status.retryAt.toFixed()
      try { info.id + text } catch (error) {
        if (error instanceof RefusedByLimit) error.retryAfter.toFixed()
        if (error instanceof RunewardError && error.kind === 'timed-out' && !error.mayHaveRun) throw error
      }
      const first: Alternative | undefined = Rune.decode('x').narrow('a=1').restrictions[0]?.alternatives[0]
      first?.field.length
      // @ts-expect-error
      await client.call('getinfo', 'params')
    `
    writeFileSync(join(folder, 'types.ts'), code)
    for (const resolution of ['nodenext', 'bundler']) {
      const options = {
        strict: true,
        noEmit: true,
        target: 'es2022',
        lib: ['es2022', 'dom'],
        types: [],
        exactOptionalPropertyTypes: true,
      }
      const module = resolution === 'nodenext' ? 'nodenext' : 'esnext'
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ compilerOptions: { ...options, module, moduleResolution: resolution }, files: ['types.ts'] }),
      )
      await execute(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(
        ({ stdout }) => assert.fail(stdout),
      )
    }
  })

  test(`has at most ${MAX_GZIPPED} bytes, gzipped with its cryptography, and no runes unless they are asked for`, async () => {
    const size = async (code) => {
      const { outputFiles, metafile } = await build({
        stdin: { contents: code, resolveDir: folder },
        bundle: true,
        minify: true,
        format: 'esm',
        platform: 'browser',
        write: false,
        metafile: true,
        logLevel: 'error',
      })
      return { size: gzipSync(outputFiles[0].contents, { level: 9 }).length, inputs: Object.keys(metafile.inputs) }
    }
    const client = await size("export * from '@runeward/client'")
    const runes = await size("export * from '@runeward/client/runes'")
    console.log(`gzipped: client ${client.size} bytes, runes ${runes.size} bytes`)
    assert.ok(client.size <= MAX_GZIPPED, `${client.size} bytes`)
    assert.ok(!client.inputs.some((input) => /\/runes\/|socket\/node/.test(input)))
    assert.ok(runes.inputs.every((input) => !/curves|client\.js|link\.js/.test(input)))
  })

  test('the lock file names no registry', () => {
    assert.ok(!/"resolved"|https?:\/\/[^"]*registry/.test(readFileSync(join(root, 'package-lock.json'), 'utf8')))
  })

  test('from `npm pack` to a printed getinfo, as the README says', async () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const [commands] = blocks(readme, 'sh')
    assert.match(commands, new RegExp(`^npm pack\nnpm install \\./${packed.filename}\nnode getinfo\\.mjs`))
    const [snippet] = blocks(readme, 'js')
    assert.ok(snippet.trim().split('\n').length <= 10)
    assert.match(await run('getinfo.mjs', snippet, uri), /alias: '/)
  })

  test('every other example of the README and of the sources runs', async () => {
    const sources = readdirSync(join(root, 'src'), { recursive: true }).filter((name) => name.endsWith('.ts'))
    const texts = ['README.md', ...sources.map((name) => `src/${name}`)].map((name) => [
      name,
      readFileSync(join(root, name), 'utf8'),
    ])
    const examples = texts.flatMap(([name, text]) => blocks(text, 'js').map((code) => [name, code])).slice(1)
    assert.ok(examples.length >= 10, `${examples.length} examples`)
    const given = { uri, text: rune, scanned: offer }
    await Promise.all(
      examples.map(async ([name, code], index) => {
        const makesClient = /const client =/.test(code)
        const lines = Object.entries(given).filter(
          ([word]) => !new RegExp(`const \\{[^}]*\\b${word}\\b|const ${word} =`).test(code),
        )
        const head = lines.map(([word, value]) => `const ${word} = ${JSON.stringify(value)}`)
        if (/\bclient\b/.test(code) && !makesClient)
          head.push("const client = await (await import('@runeward/client')).connect(uri)")
        const tail = /\bclient\b/.test(code) ? '\nclient.close()' : ''
        await run(`example-${index}.mjs`, `${head.join('\n')}\n${code}${tail}\n`).catch((error) =>
          assert.fail(`${name}: ${error.message}\n${code}`),
        )
      }),
    )
  })
})
