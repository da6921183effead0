import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

/**
 * What the page may do: run and show its own files, and open WebSockets to nodes. No inline script or style, no eval,
 * no form, nothing from third parties. A server adds `frame-ancestors`, which only a header can say.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  "img-src 'self' blob:",
  "manifest-src 'self'",
  'connect-src ws: wss:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** Most that a first visit may load, gzipped, in bytes: the page, its style and font, and the first script with the client. */
const FIRST_LOAD = 150_000

export default defineConfig({
  // Any folder of any host will do.
  base: './',
  plugins: [svelte(), policy(), firstLoad(), compressed()],
  // One copy, the client's and ours.
  resolve: { dedupe: ['@noble/hashes'] },
  server: { fs: { allow: ['../..'] } },
  build: {
    target: 'es2022',
    // The first with light-dark().
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
    // The policy allows no data: URLs.
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
})

/** Writes the policy into the page. Not while developing, where the page's style comes inline. */
function policy(): Plugin {
  return {
    name: 'policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
    ],
  }
}

/** Prints what a first visit loads, and fails the build where that is too much. */
function firstLoad(): Plugin {
  return {
    name: 'first-load',
    apply: 'build',
    writeBundle(_, bundle) {
      const names = new Set<string>()
      const add = (name: string) => {
        const file = bundle[name]
        if (file === undefined || names.has(name)) return
        names.add(name)
        if (file.type === 'chunk') {
          file.imports.forEach(add)
          const { importedCss, importedAssets } = file.viteMetadata ?? {}
          ;[...(importedCss ?? []), ...(importedAssets ?? [])].forEach(add)
        }
      }
      for (const file of Object.values(bundle)) {
        const isFont = file.fileName.endsWith('.woff2')
        if (isFont || file.fileName === 'index.html' || (file.type === 'chunk' && file.isEntry)) add(file.fileName)
      }
      const sizes = [...names].map((name) => {
        const file = bundle[name]!
        return gzipSync(file.type === 'chunk' ? file.code : file.source).length
      })
      const total = sizes.reduce((sum, size) => sum + size, 0)
      const told = `first load: ${(total / 1000).toFixed(1)} kB gzipped in ${names.size} files, of ${FIRST_LOAD / 1000} kB`
      if (total > FIRST_LOAD) this.error(`${told}: too much`)
      console.log(told)
    },
  }
}

/** Lays each file beside itself once more, gzipped, for servers that send it so; what does not shrink stays alone. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    closeBundle(error) {
      if (error !== undefined) return
      const { outDir } = this.environment.config.build
      for (const name of readdirSync(outDir, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(html|js|css|svg|txt|webmanifest)$/.test(name)) continue
        const path = join(outDir, name)
        const content = readFileSync(path)
        const packed = gzipSync(content, { level: 9 })
        if (packed.length < content.length) writeFileSync(`${path}.gz`, packed)
      }
    },
  }
}
