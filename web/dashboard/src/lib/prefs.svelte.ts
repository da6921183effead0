// How the visitor wants to see things. Kept in this browser.
import { load, save } from './storage'

export type Theme = 'system' | 'light' | 'dark'
export type Unit = 'sat' | 'btc'

class Prefs {
  #theme = $state<Theme>('system')
  #unit = $state<Unit>(load<Unit>('unit') === 'btc' ? 'btc' : 'sat')
  #hidden = $state(load<boolean>('hidden') === true)

  constructor() {
    // Written without quotes: theme.js reads it before this script is there.
    const { theme } = document.documentElement.dataset
    if (theme === 'light' || theme === 'dark') this.#theme = theme
  }

  get theme(): Theme {
    return this.#theme
  }

  set theme(theme: Theme) {
    this.#theme = theme
    if (theme === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    try {
      if (theme === 'system') localStorage.removeItem('runeward.theme')
      else localStorage.setItem('runeward.theme', theme)
    } catch {
      // Nothing can be kept here.
    }
  }

  /** What amounts are shown in. */
  get unit(): Unit {
    return this.#unit
  }

  set unit(unit: Unit) {
    this.#unit = unit
    save('unit', unit)
  }

  /** Whether amounts are shown as dots, for a look at the node in company. */
  get hidden(): boolean {
    return this.#hidden
  }

  set hidden(hidden: boolean) {
    this.#hidden = hidden
    save('hidden', hidden)
  }
}

export const prefs = new Prefs()
