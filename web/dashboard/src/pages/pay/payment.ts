// What is about to be paid, and what has become of it.
import { Refused, RefusedByNode, RunewardError } from '@runeward/client'
import { paymentsFor, type Entry } from '../../lib/activity'
import { toMsat, type Msat } from '../../lib/money'
import type { Node } from '../../lib/node.svelte'
import { sentence } from '../../lib/problem'

/** An invoice that was decoded. */
export interface Bill {
  text: string
  paymentHash: string
  /** `undefined`: whoever pays decides. */
  msat: number | undefined
  description: string
  payee: string
  /** UNIX seconds. */
  expiresAt: number
}

/** What was sent off, kept in the browser until its end is known: it outlives the page. */
export interface Pending {
  paymentHash: string
  msat: number
  payee: string
  /** UNIX seconds. */
  at: number
}

/** How it ended, or that nobody knows. */
export type Outcome =
  | { state: 'paid'; msat: number; fee: number | undefined; preimage: string | undefined }
  /** Nothing was sent. */
  | { state: 'failed'; why: string }
  /** The node is still trying. */
  | { state: 'pending' }
  | { state: 'unknown'; why: string }

interface Decoded {
  type: string
  valid: boolean
  amount_msat?: Msat
  invoice_amount_msat?: Msat
  description?: string
  offer_description?: string
  payee?: string
  invoice_node_id?: string
  payment_hash?: string
  invoice_payment_hash?: string
  created_at?: number
  invoice_created_at?: number
  expiry?: number
  invoice_relative_expiry?: number
}

/** Without the node: whether this could be something to pay. */
export function cleaned(text: string): string {
  return text
    .trim()
    .replace(/^lightning:(\/\/)?/i, '')
    .split('?')[0]!
}

/** Milliseconds after which a payment that says nothing counts as unknown: a node tries for a minute. */
const PATIENCE = 180_000
/** Seconds after which a command that left no trace never arrived. */
const ARRIVAL = 20
/** Seconds that an invoice is good for where it does not say (BOLT 11, BOLT 12). */
const EXPIRY = 3600
const EXPIRY_12 = 7200

/**
 * Asks the node what an invoice says.
 *
 * @throws an `Error` in words for people where it is nothing to pay, and whatever a call throws
 */
export async function read(node: Node, text: string): Promise<Bill> {
  const invoice = cleaned(text)
  const found = await node.call<Decoded>('decode', { string: invoice }, { timeout: 20_000 })
  if (found.type === 'bolt12 offer') {
    throw new Error('This is an offer, from which an invoice comes first: fetch one with fetchinvoice, in the console')
  }
  const paymentHash = found.payment_hash ?? found.invoice_payment_hash
  if (!/^bolt1[12] invoice$/.test(found.type) || paymentHash === undefined || !found.valid) {
    throw new Error(`This is no invoice but a ${found.type}`)
  }
  const amount = found.amount_msat ?? found.invoice_amount_msat
  const madeAt = found.created_at ?? found.invoice_created_at ?? 0
  const expiry = found.expiry ?? found.invoice_relative_expiry ?? (found.type === 'bolt11 invoice' ? EXPIRY : EXPIRY_12)
  return {
    text: invoice,
    paymentHash,
    msat: amount === undefined ? undefined : toMsat(amount),
    description: found.description ?? found.offer_description ?? '',
    payee: found.payee ?? found.invoice_node_id ?? '',
    expiresAt: madeAt + expiry,
  }
}

/** As much as a node allows itself unless told otherwise: 1 %, and 5 sats at least. In msat, whole satoshis. */
export function usualFee(msat: number): number {
  return Math.max(5000, Math.ceil(msat / 100_000) * 1000)
}

/** Pays. `open`: the invoice leaves the amount to us. Never throws: what went wrong is told by the outcome. */
export async function pay(node: Node, bill: Bill, msat: number, maxfee: number): Promise<Outcome> {
  const method = node.first('pay', 'xpay') ?? 'pay'
  // The label is what lists of payments show; xpay had none for long.
  const label = method === 'pay' && bill.description !== '' ? bill.description : undefined
  const params = { ...(bill.msat === undefined && { amount_msat: msat }), maxfee, label }
  const send = (name: string) => node.call(method, { [name]: bill.text, ...params }, { timeout: PATIENCE })
  try {
    const paid = await send('invstring').catch((error: unknown) => {
      // Nodes before 25.12 call it bolt11; a command with a parameter too many does not run.
      const isName =
        error instanceof RefusedByNode &&
        error.code === -32602 &&
        /(unknown|missing required) parameter/.test(error.message)
      if (isName && method === 'pay') return send('bolt11')
      throw error
    })
    const got = toMsat(paid.amount_msat)
    return { state: 'paid', msat: got, fee: toMsat(paid.amount_sent_msat) - got, preimage: paid.payment_preimage }
  } catch (error) {
    if (error instanceof RefusedByNode) return settled(node, bill.paymentHash, sentence(error.message))
    const why = sentence((error as Error).message)
    const mayHaveRun = !(error instanceof RunewardError) || error.mayHaveRun
    return mayHaveRun ? { state: 'unknown', why } : { state: 'failed', why }
  }
}

/** Asks the node what has become of a payment. Never throws. */
export async function check(node: Node, { paymentHash, at }: Pending): Promise<Outcome> {
  if (!node.first('listpays', 'listsendpays')) {
    return {
      state: 'unknown',
      why: 'The rune allows neither listpays nor listsendpays, so only the node’s owner can look.',
    }
  }
  try {
    const tries = await paymentsFor(node, paymentHash)
    if (tries.length === 0) {
      // The command may be on its way still.
      if (Date.now() / 1000 < at + ARRIVAL) return { state: 'unknown', why: 'The node has no record of it so far.' }
      return { state: 'failed', why: 'The node has no record of this payment: the command never reached it.' }
    }
    return outcomeOf(tries) ?? { state: 'failed', why: 'The node tried, and gave up.' }
  } catch (error) {
    const why = error instanceof Refused ? 'The node did not say' : 'The node could not be asked'
    return { state: 'unknown', why: `${why}: ${sentence((error as Error).message)}` }
  }
}

/** After the node's own error: it failed, unless the records know better. */
async function settled(node: Node, paymentHash: string, why: string): Promise<Outcome> {
  if (!node.can('listpays') && !node.can('listsendpays')) return { state: 'failed', why }
  const tries = await paymentsFor(node, paymentHash).catch(() => [])
  return outcomeOf(tries) ?? { state: 'failed', why }
}

/** Paid if one try was, pending if one is under way; `undefined` where all failed. */
function outcomeOf(tries: Entry[]): Outcome | undefined {
  const done = tries.find(({ state }) => state === 'done')
  if (done) return { state: 'paid', msat: done.msat, fee: done.fee, preimage: done.preimage }
  return tries.some(({ state }) => state === 'waiting') ? { state: 'pending' } : undefined
}
