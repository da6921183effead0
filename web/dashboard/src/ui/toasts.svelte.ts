// Short news, which goes by itself: "Copied". What must be answered or kept stands on the page instead.

interface Toast {
  id: number
  text: string
  tone: 'good' | 'bad'
}

/** Milliseconds that one is shown. */
const SHOWN = 4000

class Toasts {
  #list = $state<Toast[]>([])
  #last = 0

  get list(): readonly Toast[] {
    return this.#list
  }

  show(text: string, tone: Toast['tone'] = 'good'): void {
    const id = ++this.#last
    // The same news twice is one.
    this.#list = [...this.#list.filter((toast) => toast.text !== text), { id, text, tone }].slice(-3)
    setTimeout(() => (this.#list = this.#list.filter((toast) => toast.id !== id)), SHOWN)
  }
}

export const toasts = new Toasts()
