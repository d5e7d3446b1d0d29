import { describe, expect, it } from 'vitest'
import { LogBytesExceeded } from './errors.ts'
import { openInstallation } from './installation.ts'
import { SEGMENT_HEADER_BYTES } from './limits.ts'
import { openRunLog } from './open.ts'
import type { RunLog } from './stage.ts'
import { MemoryFs } from './testing/memory-fs.ts'
import { AT_ONCE, countingRandom, DENIAL, HOME, intent, RUN_END, RUN_ID, runStart, testContext } from './testing/scenario.ts'
import type { RecordBody } from './types.ts'

const SEEDS = 60
const STEPS = 300
const HOLD = 500
/** Of a detail that its promise just holds. */
const LARGEST = 780

/** What a gate may do to a log, in any order; what was promised is remembered. */
class Gate {
  readonly log: RunLog
  readonly #random: () => number
  readonly #open: number[] = []
  readonly #leased: number[] = []
  readonly #denials: number[] = []
  readonly #asked: string[] = []
  #held = 0
  refused = 0

  constructor(log: RunLog, seed: number) {
    this.log = log
    const bytes = countingRandom(seed)
    this.#random = () => (bytes(1)[0] ?? 0) / 256
  }

  /** Of everything by turns, or one kind only until it is refused: each must have its room without the others'. */
  step(kind: number): void {
    if (kind === 1) return this.begin()
    if (kind === 2) return this.deny()
    if (kind === 3) return this.ask()
    const steps = [this.begin, this.begin, this.end, this.end, this.close, this.deny, this.repeat, this.ask, this.hold, this.revoke]
    steps[Math.floor(this.#random() * steps.length)]?.call(this)
  }

  begin(): void {
    const seq = this.orRefused(intent(`/${'x'.repeat(Math.floor(this.#random() * 900))}`))
    if (seq !== null) this.#open.push(seq)
  }

  /** Always has room, whatever it would like to tell. */
  end(): void {
    const seq = this.#open.pop()
    if (seq === undefined) return
    const leased = this.#random() < 0.7
    const detail = { said: 'y'.repeat(this.#random() < 0.7 ? LARGEST : Math.floor(this.#random() * 3000)) }
    this.log.append({ type: 'OUTCOME', intent: seq, status: 'ok', captured: { calls: 1 }, detail, ...(leased ? { leased: {} } : {}) })
    if (leased) this.#leased.push(seq)
  }

  close(): void {
    const seq = this.#leased.shift()
    if (seq !== undefined) this.log.append({ type: 'CLOSE', intent: seq, captured: {}, detail: { more: 'z'.repeat(LARGEST) } })
  }

  deny(): void {
    const seq = this.orRefused(DENIAL)
    if (seq !== null) this.#denials.push(seq)
  }

  repeat(): void {
    if (!this.log.tight && this.#denials[0] !== undefined) this.log.append({ type: 'DENY_REPEAT', first: this.#denials[0], count: 1 })
  }

  ask(): void {
    const request = String(this.#asked.length).padStart(64, '0')
    if (this.orRefused(approval(request, 'asked', null)) !== null) this.#asked.push(request)
  }

  hold(): void {
    if (this.log.hold(HOLD) === null) this.#held += 1
    else this.refused += 1
  }

  revoke(): void {
    if (this.#random() < 0.1) this.log.append({ type: 'REVOKE', block: 'b'.repeat(32), by: 'operator' })
  }

  /** Everything that was promised, and the end. */
  async finish(): Promise<void> {
    while (this.#open.length > 0) this.end()
    while (this.#leased.length > 0) this.close()
    for (const request of this.#asked) this.log.append(approval(request, 'denied', '"'.repeat(128)))
    this.log.release(this.#held * HOLD)
    for (let i = 0; i < this.#held; i++) this.log.append(LOOK, true)
    this.log.append(DENIAL, true)
    for (const first of this.#denials) this.log.append({ type: 'DENY_REPEAT', first, count: 2 ** 40 })
    this.log.append({ type: 'TIME', captured: { wall_time_ms: 2 ** 40, cpu_ms: 2 ** 40 } })
    for (const fd of [0, 1, 2]) this.log.append({ type: 'STDIO', fd, bytes: 2 ** 50, sha256: 'f'.repeat(64) })
    await this.log.seal({ ...RUN_END, spent: { calls: 2 ** 50, bytes: 2 ** 50, wall_time_ms: 2 ** 40 } })
  }

  private orRefused(body: RecordBody): number | null {
    try {
      return this.log.append(body)
    } catch (error) {
      expect(error).toBeInstanceOf(LogBytesExceeded)
      this.refused += 1
      return null
    }
  }
}

const LOOK: RecordBody = {
  type: 'LOOK',
  counts: [{ op: 'fs.stat', rule: '/fs/read/0', object: '/work/'.padEnd(200, 'l'), count: 2 ** 40 }],
}

function approval(request: string, event: string, by: string | null): RecordBody {
  const about = { op: 'fs.open', session: 's:1', action: 'fs.write', object: `/${'"'.repeat(300)}`, rule: '/fs/ask/0', policy: 'ab' }
  return { type: 'APPROVAL', event, request, ...about, by }
}

describe('the room of a log', () => {
  it(`whatever is done in whatever order, what was promised fits and the log ends within its bytes (${SEEDS} seeds)`, async () => {
    let refused = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const limit = 20_000 + seed * 700
      const installation = await openInstallation(HOME, testContext(new MemoryFs(), seed))
      const start = { ...runStart(installation), limits: [{ account: 'run', dimension: 'log_bytes', limit }] }
      const log = await openRunLog({ path: `${HOME}/${RUN_ID}`, installation, start, ...AT_ONCE })
      const gate = new Gate(log, seed)
      for (let i = 0; i < STEPS; i++) gate.step(seed % 6)
      await gate.finish()
      expect([seed, log.latched]).toEqual([seed, null])
      expect(log.bytes - SEGMENT_HEADER_BYTES).toBeLessThanOrEqual(limit)
      refused += gate.refused
    }
    expect(refused).toBeGreaterThan(SEEDS)
  })

  it('each of many open effects is ended and closed with all the detail its promise holds', async () => {
    const limit = 400_000
    const installation = await openInstallation(HOME, testContext(new MemoryFs(), 1))
    const start = { ...runStart(installation), limits: [{ account: 'run', dimension: 'log_bytes', limit }] }
    const log = await openRunLog({ path: `${HOME}/${RUN_ID}`, installation, start, ...AT_ONCE })
    const grows = (body: RecordBody): number => {
      const before = log.frameBytes
      log.append(body)
      return log.frameBytes - before
    }
    const open: number[] = []
    expect(() => {
      for (;;) open.push(log.append(intent('/x')))
    }).toThrow(LogBytesExceeded)
    const detail = { said: 'y'.repeat(LARGEST) }
    const outcomes = open.map((seq) => grows({ type: 'OUTCOME', intent: seq, status: 'ok', captured: { calls: 1 }, detail, leased: {} }))
    const closes = open.map((seq) => grows({ type: 'CLOSE', intent: seq, captured: {}, detail }))
    expect(open.length).toBeGreaterThan(100)
    expect([...outcomes, ...closes].filter((bytes) => bytes < LARGEST)).toEqual([])
    await log.seal(RUN_END)
    expect(log.latched).toBeNull()
  })
})
