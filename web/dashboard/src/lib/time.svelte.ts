// Time, as people say it. Node times are UNIX seconds.

class Clock {
  #now = $state(Date.now())

  constructor() {
    setInterval(() => (this.#now = Date.now()), 1000)
  }

  /** Milliseconds since 1970, a second fine. What reads it while it renders is rendered again each second. */
  get now(): number {
    return this.#now
  }
}

export const clock = new Clock()

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const STEPS: [number, string][] = [
  [MINUTE, 'min'],
  [HOUR, 'h'],
  [DAY, 'd'],
]

/** How long ago: `now`, `3 min`, `5 h`, `2 d`; older than a week, the date. */
export function ago(seconds: number, now: number = clock.now): string {
  const past = now - seconds * SECOND
  if (past < MINUTE) return 'now'
  if (past > 7 * DAY) return day(seconds)
  const [size, name] = STEPS.findLast(([size]) => past >= size)!
  return `${Math.floor(past / size)}\u00a0${name}`
}

/** How long still, to the second below an hour: `59:07`, `5 h`, `3 d`. */
export function left(milliseconds: number): string {
  const whole = Math.max(0, Math.ceil(milliseconds / SECOND) * SECOND)
  if (whole >= 2 * DAY) return `${Math.floor(whole / DAY)} days`
  if (whole >= 2 * HOUR) return `${Math.floor(whole / HOUR)} hours`
  const minutes = Math.floor(whole / MINUTE)
  return `${minutes}:${String((whole % MINUTE) / SECOND).padStart(2, '0')}`
}

/** `21 Nov`, or with another year `21 Nov 2025`. */
export function day(seconds: number): string {
  const date = new Date(seconds * SECOND)
  const year = date.getFullYear() === new Date().getFullYear() ? {} : ({ year: 'numeric' } as const)
  return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', ...year })
}

/** `21 Nov 2026, 15:41:07`. */
export function moment(seconds: number): string {
  return new Date(seconds * SECOND).toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
}
