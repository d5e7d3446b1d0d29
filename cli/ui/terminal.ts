import { writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { safeJson } from './safe-json.ts'

/** Where commands write. stdout carries results, stderr everything about how it went. */
export interface Terminal {
  /** One line of result. */
  out(line: string): void
  /** Result bytes as they are. */
  raw(bytes: Uint8Array): void
  /** One value of result, as one line of JSON. */
  json(value: unknown): void
  /** One line of diagnostics. */
  note(line: string): void
  /** A line that the next one replaces; nothing in a pipe. */
  passing(line: string): void
  readonly isTty: { readonly out: boolean; readonly err: boolean }
  readonly style: Style
}

/** For stderr and stdout alike: colour only where both the stream is a terminal and nobody asked for none. */
export interface Style {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
}

/** The reader of our stdout went away: what it wanted to know it knows. */
export class PipeClosed extends Error {}

const OUT = 1
const ERR = 2
/** ms between two tries when a descriptor shared with somebody else was made non-blocking and is full. */
const FULL_PAUSE_MS = 2

export function hostTerminal(env: Readonly<Record<string, string | undefined>>): Terminal {
  // Not process.stdout: making the streams costs more than a whole short command.
  const isTty = { out: isatty(OUT), err: isatty(ERR) }
  const colour = isTty.err && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  let replaceable = false
  const clear = (): void => {
    if (replaceable) writeAll(ERR, Buffer.from('\r\x1b[K'))
    replaceable = false
  }
  const line = (fd: number, text: string): void => {
    clear()
    writeAll(fd, Buffer.from(`${text}\n`))
  }
  return {
    out: (text) => line(OUT, text),
    raw: (bytes) => writeAll(OUT, bytes),
    // A value may be the guest's or a hostile log's: the same to a program, harmless on a screen.
    json: (value) => line(OUT, safeJson(JSON.stringify(value))),
    note: (text) => line(ERR, text),
    passing: (text) => {
      if (!isTty.err) return
      clear()
      writeAll(ERR, Buffer.from(text.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1))))
      replaceable = true
    },
    isTty,
    style: colour ? COLOURED : PLAIN,
  }
}

const paint =
  (on: number, off: number) =>
  (text: string): string =>
    `\x1b[${on}m${text}\x1b[${off}m`
const same = (text: string): string => text
const COLOURED: Style = { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), green: paint(32, 39) }
export const PLAIN: Style = { bold: same, dim: same, red: same, green: same }

/** Synchronous, so that nothing is lost or reordered whatever happens next. Throws PipeClosed when nobody reads stdout; a closed stderr is nobody's loss. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PAUSE_MS)
      else if (fd === ERR) return
      else if (code === 'EPIPE') throw new PipeClosed()
      else throw error
    }
  }
}
