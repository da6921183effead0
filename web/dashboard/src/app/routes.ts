// The pages, in the order of the menu. A page is a component with one property, `node`; it is made anew for each node.
// It may ask `node.can('method')` before it shows a part, and shows NotAllowed in its place where the rune does not.
import type { Component } from 'svelte'
import type { Node } from '../lib/node.svelte'
import Overview from '../pages/overview/Overview.svelte'
import type { IconName } from '../ui/Icon.svelte'

export type Page = Component<{ node: Node }>

export interface Route {
  /** What the address says: `#/overview`. */
  name: string
  title: string
  icon: IconName
  load: () => Promise<{ default: Page }>
}

export const ROUTES: [Route, ...Route[]] = [
  // The first page is there with the first script; the others come while it is looked at.
  { name: 'overview', title: 'Overview', icon: 'overview', load: () => Promise.resolve({ default: Overview }) },
  { name: 'receive', title: 'Receive', icon: 'receive', load: () => import('../pages/receive/Receive.svelte') },
  { name: 'pay', title: 'Pay', icon: 'pay', load: () => import('../pages/pay/Pay.svelte') },
  { name: 'console', title: 'Console', icon: 'console', load: () => import('../pages/console/Console.svelte') },
  { name: 'access', title: 'Access', icon: 'access', load: () => import('../pages/access/Access.svelte') },
  { name: 'audit', title: 'Audit', icon: 'audit', load: () => import('../pages/audit/Audit.svelte') },
]
