// What came in and what went out: invoices and payments of a node as one list, the newest first.
import { RefusedByNode } from '@runeward/client'
import { toMsat, type Msat } from './money'
import type { Node } from './node.svelte'

export interface Entry {
  /** Unlike every other's. */
  id: string
  kind: 'in' | 'out'
  state: 'done' | 'waiting' | 'failed'
  /** What was received or sent, without fees; 0 where an invoice leaves it open. */
  msat: number
  /** What sending it cost. */
  fee: number | undefined
  text: string
  /** What an invoice is called at the node. */
  label: string | undefined
  /** UNIX seconds. */
  at: number
  paymentHash: string
  preimage: string | undefined
  bolt11: string | undefined
  /** The other node, where it is known. */
  destination: string | undefined
  /** UNIX seconds, of an invoice that waits. */
  expiresAt: number | undefined
}

interface Invoice {
  label: string
  description?: string
  payment_hash: string
  status: 'paid' | 'unpaid' | 'expired'
  amount_msat?: Msat
  amount_received_msat?: Msat
  paid_at?: number
  expires_at: number
  created_index?: number
  bolt11?: string
  bolt12?: string
  payment_preimage?: string
}

interface Payment {
  payment_hash: string
  status: 'pending' | 'failed' | 'complete'
  created_at: number
  completed_at?: number
  amount_msat?: Msat
  amount_sent_msat?: Msat
  destination?: string
  description?: string
  label?: string
  bolt11?: string
  bolt12?: string
  preimage?: string
  /** As `listsendpays` calls it. */
  payment_preimage?: string
}

/** How far back one look goes, in records: enough for two weeks of a shop, and little to send. */
const MOST = 500
/** Of invoices that nobody has paid yet. */
const MOST_OPEN = 30

/** Which parts of it the rune allows to be seen. */
export function canSee(node: Node): boolean {
  return node.can('listinvoices') || node.can('listpays')
}

export async function activity(node: Node): Promise<Entry[]> {
  const [received, sent] = await Promise.all([
    node.can('listinvoices') ? invoices(node) : [],
    node.can('listpays') ? payments(node) : [],
  ])
  return [...received, ...sent].sort((a, b) => b.at - a.at)
}

/** Invoices that wait to be paid, the newest first. */
export async function openInvoices(node: Node): Promise<Entry[]> {
  if (!node.can('listinvoices')) return []
  return (await invoices(node)).filter(({ state }) => state === 'waiting').sort((a, b) => b.at - a.at)
}

/** What has become of one payment: its records, of which there may be several tries. */
export async function paymentsFor(node: Node, paymentHash: string): Promise<Entry[]> {
  const method = node.first('listpays', 'listsendpays') ?? 'listpays'
  const found = await node.call(method, { payment_hash: paymentHash })
  const records: Payment[] = found.pays ?? found.payments
  return records.map(sentEntry)
}

async function invoices(node: Node): Promise<Entry[]> {
  const record = {
    label: true,
    description: true,
    payment_hash: true,
    status: true,
    amount_msat: true,
    amount_received_msat: true,
    paid_at: true,
    expires_at: true,
    created_index: true,
    bolt11: true,
    bolt12: true,
    payment_preimage: true,
  }
  const filter = { invoices: [record] }
  const [changed, made] = await Promise.all([
    latest(node, 'listinvoices', 'invoices', 'updated', MOST, filter),
    latest(node, 'listinvoices', 'invoices', 'created', MOST_OPEN, filter),
  ])
  const all = [...(changed?.invoices ?? []), ...(made?.invoices ?? [])] as Invoice[]
  const unique = new Map(all.map((invoice) => [invoice.payment_hash, invoice]))
  return [...unique.values()].filter(({ status }) => status !== 'expired').map(receivedEntry)
}

async function payments(node: Node): Promise<Entry[]> {
  const found = await latest(node, 'listpays', 'sendpays', 'created', MOST)
  return ((found?.pays ?? []) as Payment[]).map(sentEntry)
}

function receivedEntry(invoice: Invoice): Entry {
  const paid = invoice.status === 'paid'
  return {
    id: `in ${invoice.payment_hash}`,
    kind: 'in',
    state: paid ? 'done' : 'waiting',
    msat: toMsat(invoice.amount_received_msat ?? invoice.amount_msat),
    fee: undefined,
    // A label made here says nothing to anybody.
    text: invoice.description || invoice.label.replace(/^runeward-\d+-\w+$/, ''),
    label: invoice.label,
    at: invoice.paid_at ?? madeAt(invoice.bolt11) ?? invoice.expires_at,
    paymentHash: invoice.payment_hash,
    preimage: invoice.payment_preimage,
    bolt11: invoice.bolt11 ?? invoice.bolt12,
    destination: undefined,
    expiresAt: paid ? undefined : invoice.expires_at,
  }
}

function sentEntry(payment: Payment): Entry {
  const sent = toMsat(payment.amount_sent_msat)
  const msat = payment.amount_msat === undefined ? sent : toMsat(payment.amount_msat)
  return {
    id: `out ${payment.payment_hash} ${payment.created_at} ${payment.status}`,
    kind: 'out',
    state: ({ complete: 'done', pending: 'waiting', failed: 'failed' } as const)[payment.status],
    msat,
    fee: payment.status === 'complete' ? sent - msat : undefined,
    text: payment.label || payment.description || '',
    label: undefined,
    at: payment.completed_at ?? payment.created_at,
    paymentHash: payment.payment_hash,
    preimage: payment.preimage ?? payment.payment_preimage,
    bolt11: payment.bolt11 ?? payment.bolt12,
    destination: payment.destination,
    expiresAt: undefined,
  }
}

/**
 * The last `most` records of a list, which may be long: `wait` tells how far the list has come. Where it may not be
 * asked, or a node is too old to know, the whole list.
 */
async function latest(
  node: Node,
  method: string,
  subsystem: 'invoices' | 'sendpays',
  index: 'created' | 'updated',
  most: number,
  filter?: object,
): Promise<any> {
  if (node.can('wait')) {
    try {
      const at = await node.call('wait', { subsystem, indexname: index, nextvalue: 0 })
      const start = Math.max(0, Number(at[index] ?? 0) - most) + 1
      return await node.call(method, { index, start, limit: most }, { filter })
    } catch (error) {
      if (!(error instanceof RefusedByNode)) throw error
    }
  }
  // Once is enough for the whole.
  return index === 'created' && method === 'listinvoices' ? undefined : node.call(method, {}, { filter })
}

const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'

/** When an invoice was made, in UNIX seconds: the first 35 bits behind the last `1` of a BOLT 11 text. */
export function madeAt(bolt11: string | undefined): number | undefined {
  if (bolt11 === undefined || !/^ln(bc|tb)/i.test(bolt11)) return undefined
  const text = bolt11.toLowerCase()
  const digits = text.slice(text.lastIndexOf('1') + 1, text.lastIndexOf('1') + 8)
  return [...digits].reduce((sum, digit) => sum * 32 + BECH32.indexOf(digit), 0)
}
