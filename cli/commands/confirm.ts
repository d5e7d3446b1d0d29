import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { safe } from '../ui/text.ts'

/** Longest answer that is looked at. */
const MAX_ANSWER = 64

/** Asks the person at the terminal itself, whatever stdin is. Without a terminal: no. */
export function confirmOnTerminal(question: string): boolean {
  let tty: number
  try {
    tty = openSync('/dev/tty', 'r+')
  } catch {
    return false
  }
  try {
    writeSync(tty, `authority: ${safe(question)} [y/N] `)
    const answer = Buffer.alloc(MAX_ANSWER)
    const length = readSync(tty, answer, 0, MAX_ANSWER, null)
    return /^y(es)?\s*$/i.test(answer.subarray(0, length).toString('utf8'))
  } catch {
    return false
  } finally {
    closeSync(tty)
  }
}
