/** The user's terminal while an agent has one (`-it`): each key goes to the agent as it is pressed, Ctrl-C and Ctrl-Z too. */
import { dlopen } from 'bun:ffi'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import type { Writable } from 'node:stream'

const STDIN = 0
/** tcsetattr(3): at once. */
const TCSANOW = 0
/** tcflush(3): what was typed and not read. */
const TCIFLUSH = process.platform === 'darwin' ? 1 : 0
/** More than struct termios has anywhere: 60 bytes on Linux, 72 on macOS. Its inside is the C library's business. */
const TERMIOS_BYTES = 256
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1', 'libSystem.B.dylib']

/**
 * Waits on a pipe for a word that all is well. When the pipe ends without one, who held it was killed and could restore nothing: then the terminal is as it was
 * found. Keys and closed windows must not end the one who waits, nor may it stop for writing to a terminal that is not its own any more.
 */
const WATCH = 'trap "" HUP INT QUIT TERM TSTP TTIN TTOU; read -r _ <&3 || exec stty "$1"'

export interface RawTerminal {
  /** From now on nothing of the terminal is line by line, echoed or a signal. */
  begin(): void
  /** As it was found. Safe at any time, more than once. */
  restore(): void
}

/** Remembers how the terminal on stdin is; nothing changes yet. Null where it is none, or no C library tells. */
export function rawTerminal(): RawTerminal | null {
  const libc = load()
  const found = new Uint8Array(TERMIOS_BYTES)
  if (libc === null || libc.tcgetattr(STDIN, found) !== 0) return null
  let raw = false
  let watcher: ChildProcess | null = null
  const restore = (): void => {
    if (raw) libc.tcsetattr(STDIN, TCSANOW, found)
    raw = false
    if (watcher !== null) wordOf(watcher)?.end('\n')
    watcher = null
  }
  return {
    begin() {
      const changed = found.slice()
      libc.cfmakeraw(changed)
      watcher = watch()
      // Before the change: a signal between the two must not leave a raw terminal behind.
      raw = true
      libc.tcsetattr(STDIN, TCSANOW, changed)
    },
    restore,
  }
}

/** Null where there is no stty: then a killed supervisor leaves a raw terminal, and nothing else is different. */
function watch(): ChildProcess | null {
  const { stdout, status } = spawnSync('stty', ['-g'], { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' })
  if (status !== 0) return null
  const watcher = spawn('/bin/sh', ['-c', WATCH, 'sh', stdout.trim()], { stdio: ['inherit', 'ignore', 'ignore', 'pipe'] })
  watcher.on('error', () => undefined)
  wordOf(watcher)?.on('error', () => undefined)
  watcher.unref()
  return watcher
}

function wordOf(watcher: ChildProcess): Writable | null {
  return watcher.stdio[3] as Writable | null
}

/** Drops what was typed before a question was shown: it answers nothing. */
export function discardTyped(fd: number): void {
  load()?.tcflush(fd, TCIFLUSH)
}

function load() {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, {
        tcgetattr: { args: ['i32', 'ptr'], returns: 'i32' },
        tcsetattr: { args: ['i32', 'i32', 'ptr'], returns: 'i32' },
        tcflush: { args: ['i32', 'i32'], returns: 'i32' },
        cfmakeraw: { args: ['ptr'], returns: 'void' },
      }).symbols
    } catch {
      // the next name
    }
  }
  return null
}
