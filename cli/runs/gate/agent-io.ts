import { createHash, type Hash } from 'node:crypto'
import type { GuestLink } from '@authority/kernel/guest'
import { TerminalFilter } from './terminal-filter.ts'

/** The agent's standard streams: a granted channel, metered and recorded as byte counts and digests (DESIGN 4.7). */
export class AgentIo {
  private readonly counts = { 0: 0, 1: 0, 2: 0 }
  private readonly digests: { readonly 0: Hash; readonly 1: Hash; readonly 2: Hash } = {
    0: createHash('sha256'),
    1: createHash('sha256'),
    2: createHash('sha256'),
  }
  private readonly filters: { readonly 1: TerminalFilter | null; readonly 2: TerminalFilter | null }
  private readonly gone = { 1: false, 2: false }
  private held = false
  private full = false

  /** `raw`: bytes reach a terminal as they are (`-it`). Otherwise control sequences are made visible on every stream that is a terminal. */
  constructor(options: { readonly raw: boolean }) {
    const filter = (isTerminal: boolean): TerminalFilter | null => (isTerminal && !options.raw ? new TerminalFilter() : null)
    this.filters = { 1: filter(process.stdout.isTTY === true), 2: filter(process.stderr.isTTY === true) }
    // A reader that goes away (`| head`) must not take the gate with it.
    for (const [fd, stream] of [[1, process.stdout] as const, [2, process.stderr] as const])
      stream.on('error', () => (this.gone[fd] = true))
  }

  /** Resolves when the reader of our stdout or stderr took it: its pace is the agent's. A reader that went away costs the agent nothing. */
  output(fd: 1 | 2, data: Uint8Array): Promise<void> {
    this.counts[fd] += data.length
    this.digests[fd].update(data)
    if (this.gone[fd]) return Promise.resolve()
    const shown = this.filters[fd]?.pass(data) ?? data
    const stream = fd === 1 ? process.stdout : process.stderr
    return new Promise((resolve) => {
      stream.write(shown, (error) => {
        if (error) this.gone[fd] = true
        resolve()
      })
    })
  }

  /** Pumps our stdin to the agent until either ends. */
  pumpInput(guest: GuestLink): () => void {
    const stdin = process.stdin
    const onData = (chunk: Buffer): void => {
      this.full = true
      stdin.pause()
      this.counts[0] += chunk.length
      this.digests[0].update(chunk)
      void guest.writeStdin(chunk).then((taken) => {
        if (!taken) return
        this.full = false
        if (!this.held) stdin.resume()
      })
    }
    const onEnd = (): void => guest.endStdin()
    stdin.on('data', onData)
    stdin.on('end', onEnd)
    stdin.on('error', onEnd)
    return () => {
      stdin.off('data', onData)
      stdin.off('end', onEnd)
      stdin.pause()
      stdin.unref?.()
    }
  }

  /** While a person is asked at the terminal that is also the agent's stdin, what is typed is the answer and nothing of it is the agent's. */
  holdInput(held: boolean): void {
    if (process.stdin.isTTY !== true || held === this.held) return
    this.held = held
    if (held) process.stdin.pause()
    else if (!this.full) process.stdin.resume()
  }

  /** One entry per stream that carried anything. */
  totals(): { readonly fd: number; readonly bytes: number; readonly sha256: string }[] {
    return ([0, 1, 2] as const)
      .filter((fd) => this.counts[fd] > 0)
      .map((fd) => ({ fd, bytes: this.counts[fd], sha256: this.digests[fd].copy().digest('hex') }))
  }
}
