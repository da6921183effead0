// This device, as its owner would call it.

interface Hints {
  getHighEntropyValues?(names: string[]): Promise<{ model?: string }>
}

/** `Pixel 9`, `iPhone`, `Firefox on Linux`: a first proposal. */
export async function deviceName(): Promise<string> {
  const hints = (navigator as { userAgentData?: Hints }).userAgentData
  const told = await hints?.getHighEntropyValues?.(['model']).catch(() => undefined)
  if (told?.model) return told.model
  const agent = navigator.userAgent
  const device = /iPhone|iPad/.exec(agent)?.[0]
  if (device !== undefined) return device
  const browser = /Firefox|Edg|OPR|Chrome|Safari/.exec(agent.replace(/Chrome(?=.*(Edg|OPR))/, ''))?.[0] ?? 'Browser'
  const system = /Android|Windows|Mac OS|Linux|CrOS/.exec(agent)?.[0]
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', 'Mac OS': 'a Mac', CrOS: 'a Chromebook' }
  return `${names[browser] ?? browser}${system === undefined ? '' : ` on ${names[system] ?? system}`}`
}

/** Whether this page may use a camera: there is one, and the page came over https or from this very machine. */
export function mayScan(): boolean {
  return typeof navigator.mediaDevices?.getUserMedia === 'function'
}

/** Puts a text on the clipboard; whether it is there. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // A page on http has no clipboard of its own: the old way.
    const area = document.createElement('textarea')
    area.value = text
    area.className = 'unseen'
    ;(document.querySelector('dialog[open]') ?? document.body).append(area)
    area.select()
    const copied = document.execCommand('copy')
    area.remove()
    return copied
  }
}
