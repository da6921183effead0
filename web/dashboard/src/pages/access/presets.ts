// What is usually handed out, as the gateway names it.
import type { IconName } from '../../ui/Icon.svelte'

export type PresetName = 'readonly' | 'watch' | 'receive' | 'pay' | 'public' | 'admin'

export interface Preset {
  name: PresetName
  title: string
  /** What its holder can do: completes "It can …". */
  text: string
  icon: IconName
  /** It must end. */
  mustEnd?: boolean
}

/** In the order of what they allow. */
export const PRESETS: readonly Preset[] = [
  {
    name: 'readonly',
    title: 'Look at public things',
    text: 'see the node’s name, the public graph and fees; no balances, no peers',
    icon: 'info',
  },
  {
    name: 'watch',
    title: 'Watch',
    text: 'see everything but secrets: balances, channels, peers, invoices and payments',
    icon: 'eye',
  },
  {
    name: 'receive',
    title: 'Receive',
    text: 'make invoices, offers and addresses, and see what was paid',
    icon: 'receive',
  },
  {
    name: 'pay',
    title: 'Pay',
    text: 'pay with all that the channels hold, and receive',
    icon: 'pay',
    mustEnd: true,
  },
  {
    name: 'public',
    title: 'Anyone',
    text: 'be published: it tells the node’s name, and each caller of its own channels',
    icon: 'link',
  },
  { name: 'admin', title: 'Everything', text: 'do everything, and hand out more', icon: 'access' },
]

export function presetNamed(name: string | null): Preset | undefined {
  return PRESETS.find((preset) => preset.name === name)
}

/** How long a rune may be good for, in seconds; `undefined`: until it is revoked. */
export const LIVES: readonly { title: string; seconds: number | undefined }[] = [
  { title: '1 hour', seconds: 3600 },
  { title: '1 day', seconds: 86_400 },
  { title: '7 days', seconds: 604_800 },
  { title: '30 days', seconds: 2_592_000 },
  { title: '1 year', seconds: 31_536_000 },
  { title: 'Until I revoke it', seconds: undefined },
]
