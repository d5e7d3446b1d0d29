import type { Terminal } from './terminal.ts'
import { safe } from './text.ts'
import { formatBytes } from './units.ts'

export interface Step {
  readonly what: string
  readonly bytes?: number | null
  /** 0…100 */
  readonly percent?: number
}

/** Reports long steps: a line that is renewed on a terminal, one line per step elsewhere. */
export function progressOf(terminal: Terminal): (step: Step) => void {
  let last = ''
  return ({ what, bytes, percent }) => {
    const size = bytes === undefined || bytes === null ? '' : `, ${formatBytes(bytes)}`
    const text = `authority: ${safe(what)}${size}`
    if (terminal.isTty.err) {
      if (percent === undefined || percent < 100) terminal.passing(`${text}${percent === undefined ? ' …' : ` ${Math.floor(percent)} %`}`)
      else terminal.note(`${text}: done`)
    } else if (text !== last) terminal.note(text)
    last = text
  }
}
