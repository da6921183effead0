// Commands as they are typed: `invoice amount_msat=1000 label=tea`, as `runeward call` takes them.

/** What was typed, ready to be called. */
export interface Command {
  method: string
  params: object
}

/** A command's name and its parameters, as the node's `help` has them: `pay bolt11 [amount_msat] …`. */
export interface Signature {
  name: string
  params: { name: string; optional: boolean }[]
}

/** What is wrong with what was typed. */
export class CommandError extends Error {}

/**
 * Reads a command line: a method, then parameters all as `name=value`, all by position, or one JSON object or array.
 * Values are JSON, and plain strings where they are none; quotes keep spaces together.
 */
export function parseCommand(text: string): Command {
  const [method, ...rest] = words(text)
  if (method === undefined) throw new CommandError('type a command, such as getinfo')
  if (!/^[a-z0-9_-]{1,64}$/.test(method.text)) throw new CommandError(`${method.text} is no command’s name`)
  return { method: method.text, params: parameters(rest) }
}

/** Reads one line of `help`. */
export function parseSignature(line: string): Signature {
  const [name = '', ...rest] = line.trim().split(/\s+/)
  const params = rest.map((word) => ({ name: word.replace(/[[\]|].*$|^\[/g, ''), optional: word.startsWith('[') }))
  return { name, params: params.filter(({ name }) => /^[a-z]/.test(name)) }
}

interface Word {
  text: string
  /** It was in quotes as a whole, and is a string whatever it looks like. */
  quoted: boolean
}

function parameters(given: Word[]): object {
  const [only] = given
  if (given.length === 1 && only !== undefined && /^[[{]/.test(only.text) && !only.quoted) {
    try {
      return JSON.parse(only.text) as object
    } catch (error) {
      throw new CommandError(`the parameters are no JSON: ${(error as Error).message}`)
    }
  }
  const named = given.map((word) => (word.quoted ? null : /^([a-z][a-z0-9_-]*)=([^]*)$/.exec(word.text)))
  if (given.length > 0 && named.every((found) => found === null)) return given.map(value)
  const params: Record<string, unknown> = {}
  for (const found of named) {
    if (found === null) throw new CommandError('give all parameters as name=value, or all by position')
    const name = found[1]!
    if (Object.hasOwn(params, name)) throw new CommandError(`the parameter ${name} is given twice`)
    params[name] = value({ text: found[2]!, quoted: false })
  }
  return params
}

function value({ text, quoted }: Word): unknown {
  if (quoted) return text
  // In full: a number holds no more than 2^53 exactly.
  if (/^-?\d{16,}$/.test(text)) return BigInt(text)
  const inQuotes = /^'([^']*)'$/.exec(text)
  if (inQuotes !== null) return inQuotes[1]
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Splits at spaces that are neither in quotes nor inside a JSON object or array. */
function words(text: string): Word[] {
  const found: Word[] = []
  let word = ''
  let quote = ''
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (quote !== '') {
      word += char
      if (char === '\\' && quote === '"') word += text[++at] ?? ''
      else if (char === quote) quote = ''
      continue
    }
    if (/\s/.test(char) && depth === 0) {
      if (word !== '') found.push(finished(word))
      word = ''
      continue
    }
    word += char
    if (char === '"' || (char === "'" && depth === 0)) quote = char
    else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') depth--
  }
  if (quote !== '') throw new CommandError(`a ${quote} is not closed`)
  if (depth > 0) throw new CommandError('a bracket is not closed')
  if (word !== '') found.push(finished(word))
  return found
}

function finished(word: string): Word {
  const inside = /^'([^']*)'$/.exec(word)?.[1]
  if (inside !== undefined) return { text: inside, quoted: true }
  if (/^"(?:[^"\\]|\\.)*"$/.test(word)) {
    try {
      return { text: JSON.parse(word) as string, quoted: true }
    } catch {
      // Then it is no string of JSON.
    }
  }
  return { text: word, quoted: false }
}
