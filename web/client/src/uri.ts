// The connection strings in use.
import { fromHex } from './bytes.js'
import { Invalid } from './errors.js'
import { isNodeId } from './noise.js'

/** Where a node is, and who. */
export interface Address {
  transport: 'tcp' | 'ws' | 'wss'
  /** A name or an address; IPv6 in brackets. */
  host: string
  port: number
  /** 33 bytes. */
  nodeId: Uint8Array
  rune: string | undefined
}

/** The port of forms that may leave it out. */
const DEFAULT_PORT = 9735

const SCHEMES: Record<string, Address['transport']> = {
  'commando+ws': 'ws',
  'commando+wss': 'wss',
  'commando+tcp': 'tcp',
  'ln-message': 'ws',
  lnlink: 'tcp',
}

/**
 * Reads a connection string, bare or in a link to a dashboard; every form that `runeward call` takes. Throws
 * {@link Invalid}.
 */
export function parseUri(text: string): Address {
  const [place, query = ''] = split(unlink(text), '?')
  const values = parseQuery(query)
  const [scheme, behind] = split(place, '://')
  const rest = behind ?? place.replace(/^lnlink:/, '')
  const transport = behind === undefined ? 'tcp' : SCHEMES[scheme]
  if (transport === undefined && !/^clnrest(\+https?)?$/.test(scheme)) {
    throw new Invalid(
      'this form of connection string is not known; use commando+ws://host:port?pubkey=<node id>&rune=<rune>, ' +
        'lnlink:<node id>@host:port?token=<rune> or <node id>@host:port',
    )
  }
  const [before, after] = split(rest, '@')
  const nodeId = after === undefined ? values.get('pubkey') : before
  if (nodeId === undefined || transport === undefined) {
    throw new Invalid(
      'the connection string names no node id, so nobody can tell whether the right node answers; ' +
        'add ?pubkey=<node id>, or use <node id>@host:port',
    )
  }
  const point = fromHex(nodeId)
  if (point === undefined || !isNodeId(point)) throw new Invalid(`'${nodeId}' is no node id of 66 hex digits`)
  const { host, port } = parseAddress((after ?? rest).replace(/\/+$/, ''))
  return { transport, host, port, nodeId: point, rune: values.get('rune') ?? values.get('token') }
}

/** The same connection string with another rune in it, and no link around it. */
export function withRune(uri: string, rune: string): string {
  const [place, query = ''] = split(unlink(uri), '?')
  const key = place.startsWith('lnlink:') ? 'token' : 'rune'
  const rest = query.split('&').filter((part) => part !== '' && !/^(rune|token)=/.test(part))
  return `${place}?${[...rest, `${key}=${rune}`].join('&')}`
}

/** The connection string in `http(s)://…#pair=…` or `#connect=…`, as it stands there or escaped as a whole. */
function unlink(text: string): string {
  const link = /^https?:\/\/[^#]*#(?:pair|connect)=(.*)$/.exec(text.trim())
  if (link === null) return text.trim()
  const uri = link[1]!
  return uri.includes('://') ? uri : unescape(uri, 'the link')
}

/** `place`: where it stands. Not the text itself: it may be a rune. */
function unescape(text: string, place: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Invalid(`${place} has a bad %-escape`)
  }
}

function parseAddress(address: string): { host: string; port: number } {
  const parts = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?$/.exec(address)
  const port = Number(parts?.[2] ?? DEFAULT_PORT)
  if (parts === null || port < 1 || port > 65_535) throw new Invalid(`'${address}' is no host:port`)
  return { host: parts[1]!, port }
}

function parseQuery(text: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const part of text.split('&')) {
    const [key, value] = split(part, '=')
    if (value !== undefined) values.set(key, unescape(value, `the value of '${key}' in the connection string`))
  }
  return values
}

/** What stands before the first `mark`, and what behind it. */
function split(text: string, mark: string): [before: string, behind?: string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + mark.length)]
}
