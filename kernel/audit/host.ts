/** What the log takes from the machine when the caller passes nothing: clocks, randomness, who we are. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { hostFs } from './fs-host.ts'
import type { InstallationContext } from './installation.ts'

function firstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n')[0] ?? ''
  } catch {
    return ''
  }
}

/** pid, boot id and start time: tells a process apart from a later one of the same number. Field 22 of /proc/PID/stat comes after the name, which may hold spaces. */
function ownerText(): string {
  const start =
    firstLine('/proc/self/stat')
      .replace(/^.*\) /u, '')
      .split(' ')[19] ?? ''
  return `pid ${process.pid} boot ${firstLine('/proc/sys/kernel/random/boot_id') || 'unknown'} start ${start || 'unknown'}`
}

export function hostContext(): InstallationContext {
  // performance.now() counts from the start of the process; records of several processes compare better from the start of the machine.
  const started = uptime() * 1000 - performance.now()
  return {
    fs: hostFs,
    clock: { wallMs: () => Date.now(), monotonicMs: () => started + performance.now() },
    random: (n) => new Uint8Array(randomBytes(n)),
    owner: ownerText(),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  }
}
