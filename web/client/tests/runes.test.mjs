// Runes in the gateway's words, from the table that the gateway is tested against.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Restriction, Rune, RuneError } from '@runeward/client/runes'
import { parseRestrictions } from '../dist/runes/coding.js'

const { now, cases, no_runes } = JSON.parse(
  readFileSync(new URL('../../../policy/tests/english.json', import.meta.url)),
)
const ISSUED = cases.find(({ restrictions }) => restrictions === '')
const thrown = (act) => {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof RuneError, error)
    return error.message
  }
  return undefined
}
test('says what the gateway says', () => {
  assert.ok(cases.length > 500)
  for (const { restrictions, error, rune: text, ...said } of cases) {
    if (error !== undefined) {
      const read = restrictions.includes('&') ? parseRestrictions : Restriction.parse
      assert.equal(
        thrown(() => read(restrictions)),
        error,
        restrictions,
      )
      continue
    }
    const rune = Rune.decode(text)
    assert.equal(rune.english(), said.english, restrictions)
    assert.deepEqual(rune.explain(now), said.sentences, restrictions)
    assert.deepEqual(
      rune.restrictions.map((one) => one.explain(now)),
      said.alone,
      restrictions,
    )
    assert.deepEqual(
      rune.restrictions.map((one) => one.odd(now) ?? null),
      said.odd,
      restrictions,
    )
    assert.equal(rune.impossible(now) ?? null, said.impossible, restrictions)
  }
})

test('decodes, encodes and narrows to the same bytes', () => {
  for (const { restrictions, error, rune: text } of cases) {
    if (error !== undefined) continue
    const rune = Rune.decode(text)
    assert.equal(rune.uniqueId, '1')
    assert.equal(rune.encode(), text)
    assert.equal(Rune.decode(text.replace(/=+$/, '')).encode(), text)
    const own = rune.restrictions.map(String)
    assert.equal(
      Rune.decode(ISSUED.rune)
        .narrow(...own)
        .encode(),
      text,
      restrictions,
    )
    assert.equal(
      own.reduce((narrowed, one) => narrowed.narrow(Restriction.parse(one)), Rune.decode(ISSUED.rune)).encode(),
      text,
    )
  }
})

test('refuses what is no rune, in the same words', () => {
  for (const { rune, error } of no_runes)
    assert.equal(
      thrown(() => Rune.decode(rune)),
      error,
      rune.slice(0, 100),
    )
})

describe('one restriction', () => {
  test('has alternatives', () => {
    const { alternatives } = Restriction.parse(String.raw`pnamelabel=a\|b\\|method^list`)
    assert.deepEqual(alternatives, [
      { field: 'pnamelabel', condition: '=', value: 'a|b\\' },
      { field: 'method', condition: '^', value: 'list' },
    ])
  })

  test('is one', () => {
    assert.equal(
      thrown(() => Restriction.parse('')),
      'an empty restriction: write field, condition, value, as in method=getinfo',
    )
    assert.match(
      thrown(() => Restriction.parse('a=1&b=2')),
      /^the & at byte 3 ends the restriction/,
    )
    assert.match(
      thrown(() => Restriction.parse('=1')),
      /^no field before the condition at byte 0/,
    )
  })

  test('explains itself at the present time unless told another', () => {
    const hour = Math.floor(Date.now() / 1000) + 3600
    assert.match(Restriction.parse(`time<${hour}`).explain(), / UTC \(in (1 hour|60 minutes)\)\.$/)
  })
})

test('a rune has a version where it is written, and no unique id where it has none', () => {
  const bytes = (text) => Buffer.concat([Buffer.alloc(32), Buffer.from(text)]).toString('base64url')
  assert.deepEqual([Rune.decode(bytes('=7-a-b')).uniqueId, Rune.decode(bytes('=7-a-b')).version], ['7', 'a-b'])
  assert.deepEqual([Rune.decode(bytes('a=1')).uniqueId, Rune.decode(bytes('a=1')).version], [undefined, undefined])
})

test('stays within bounds', () => {
  const rune = Rune.decode(ISSUED.rune)
  assert.equal(
    thrown(() => rune.narrow(`a=${'x'.repeat(6200)}`)),
    'a rune is at most 8192 bytes long',
  )
  assert.equal(
    thrown(() => rune.narrow(...Array(257).fill('a=1'))),
    'a rune has at most 256 restrictions',
  )
  assert.equal(
    thrown(() => rune.narrow(Array(257).fill('a=1').join('|'))),
    'a restriction has at most 256 alternatives',
  )
})
