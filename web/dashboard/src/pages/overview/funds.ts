// Balances and channels of a node.
import { toMsat, type Msat } from '../../lib/money'
import type { Node } from '../../lib/node.svelte'

export interface Channel {
  id: string
  peer: string
  /** What we could send now, what we could receive, what the channel holds. In msat. */
  spendable: number
  receivable: number
  total: number
  /** Ours, the part included that must stay in the channel. */
  ours: number
  /** Open, and its peer is there. */
  usable: boolean
  /** `Opening`, `Closing`, `Peer is away`; empty where there is nothing to say. */
  state: string
}

export interface Funds {
  /** The biggest first; `undefined` where the rune does not show them. */
  channels: Channel[] | undefined
  /** In msat; `undefined` where the rune does not show it. */
  onChain: number | undefined
  /** Part of it that is not confirmed yet. */
  unconfirmed: number
  lightning: number | undefined
  spendable: number
  receivable: number
  total: number
}

interface PeerChannel {
  peer_id: string
  peer_connected: boolean
  state: string
  short_channel_id?: string
  channel_id?: string
  to_us_msat?: Msat
  total_msat?: Msat
  spendable_msat?: Msat
  receivable_msat?: Msat
}

interface Output {
  amount_msat: Msat
  status: 'confirmed' | 'unconfirmed' | 'spent' | 'immature'
}

export async function funds(node: Node): Promise<Funds> {
  const [channels, outputs] = await Promise.all([
    node.can('listpeerchannels') ? listChannels(node) : undefined,
    node.can('listfunds') ? listOutputs(node) : undefined,
  ])
  const open = channels?.filter((channel) => channel.usable) ?? []
  const sum = (amounts: number[]) => amounts.reduce((total, amount) => total + amount, 0)
  const unspent = outputs?.filter(({ status }) => status !== 'spent')
  return {
    channels,
    onChain: unspent && sum(unspent.map((output) => toMsat(output.amount_msat))),
    unconfirmed: sum((unspent ?? []).filter((it) => it.status !== 'confirmed').map((it) => toMsat(it.amount_msat))),
    lightning: channels && sum(channels.map((channel) => channel.ours)),
    spendable: sum(open.map((channel) => channel.spendable)),
    receivable: sum(open.map((channel) => channel.receivable)),
    total: sum(open.map((channel) => channel.total)),
  }
}

async function listChannels(node: Node): Promise<Channel[]> {
  const record = {
    peer_id: true,
    peer_connected: true,
    state: true,
    short_channel_id: true,
    channel_id: true,
    to_us_msat: true,
    total_msat: true,
    spendable_msat: true,
    receivable_msat: true,
  }
  const { channels } = await node.call<{ channels: PeerChannel[] }>(
    'listpeerchannels',
    {},
    { filter: { channels: [record] } },
  )
  const shown = channels.filter(({ state }) => !/^ONCHAIN$|^CLOSED$/.test(state)).map(toChannel)
  return shown.sort((a, b) => Number(b.usable) - Number(a.usable) || b.total - a.total)
}

function toChannel(channel: PeerChannel): Channel {
  const normal = channel.state === 'CHANNELD_NORMAL'
  return {
    id: channel.channel_id ?? channel.short_channel_id ?? channel.peer_id,
    peer: channel.peer_id,
    spendable: toMsat(channel.spendable_msat),
    receivable: toMsat(channel.receivable_msat),
    total: toMsat(channel.total_msat),
    ours: toMsat(channel.to_us_msat),
    usable: normal && channel.peer_connected,
    state: normal ? (channel.peer_connected ? '' : 'Peer is away') : stateInWords(channel.state),
  }
}

function stateInWords(state: string): string {
  if (/AWAITING_LOCKIN|OPENINGD|DUALOPEND/.test(state)) return 'Opening'
  if (/SPLICE/.test(state)) return 'Splicing'
  return 'Closing'
}

async function listOutputs(node: Node): Promise<Output[]> {
  const filter = { outputs: [{ amount_msat: true, status: true }] }
  return (await node.call('listfunds', {}, { filter })).outputs
}
