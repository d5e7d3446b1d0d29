import { AuthorityError } from '@authority/protocol'
import { describe, expect, it } from 'vitest'
import type { Json } from '../vocabulary/index.ts'
import { openInstallation } from './installation.ts'
import { COMPANY_FLUSHES, SEGMENT_HEADER_BYTES } from './limits.ts'
import { openRunLog } from './open.ts'
import type { RunLog } from './stage.ts'
import { MemoryFs } from './testing/memory-fs.ts'
import { AT_ONCE, begin, DENIAL, HOME, intent, RUN_END, RUN_ID, runStart, testContext, work } from './testing/scenario.ts'

function manual(): { schedule: (flush: () => void) => void; tick: () => void } {
  const queue: (() => void)[] = []
  return {
    schedule: (flush) => void queue.push(flush),
    tick: () => {
      for (const flush of queue.splice(0)) flush()
    },
  }
}

const code = (error: unknown): unknown => (error instanceof AuthorityError ? error.code : error)

/** Code of the first append that is refused. */
function fill(log: RunLog, append: () => void): unknown {
  while (log.size < 10_000)
    try {
      append()
    } catch (error) {
      return code(error)
    }
  return 'not refused'
}

describe('audit stage', () => {
  it('gives numbers at once and makes everything of a tick durable with one write and one flush', async () => {
    const fs = new MemoryFs()
    const { schedule, tick } = manual()
    const { log } = await begin(testContext(fs), { schedule })
    const before = fs.trace.length
    const numbers = Array.from({ length: 64 }, () => log.append(DENIAL))
    const waiting = numbers.map(() => log.durable())
    expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] ?? 0) + i))
    tick()
    await Promise.all(waiting)
    expect(fs.trace.slice(before)).toEqual(['write', 'datasync'])
    log.abandon()
  })

  it('looks for no others before a flush while one session has one effect under way, and does as soon as there is more', async () => {
    const alone: boolean[] = []
    const { log } = await begin(testContext(new MemoryFs()), {
      schedule: (flush, nobodyElse) => {
        alone.push(nobodyElse)
        queueMicrotask(flush)
      },
    })
    const { session: own } = intent()
    const perform = async (session: string): Promise<void> => {
      const seq = log.append({ ...intent(), session })
      await log.durable()
      log.append({ type: 'OUTCOME', intent: seq, status: 'ok', captured: { calls: 1 } })
      await log.durable()
    }
    // The first session is new as well: others may follow.
    for (let i = 0; i <= COMPANY_FLUSHES; i++) await perform(own)
    expect(alone.splice(0).at(-1)).toBe(true)
    const two = [log.append(intent()), log.append(intent())]
    await log.durable()
    expect(alone.splice(0)).toEqual([false])
    for (const seq of two) log.append({ type: 'OUTCOME', intent: seq, status: 'ok', captured: { calls: 1 } })
    await perform(own)
    expect(alone.splice(0)).toEqual([true, true])
    await perform('b')
    await perform('b')
    expect(alone.splice(0)).toEqual([false, false, false, false])
    log.abandon()
  })

  it('looks for others after all when what began alone has company by the time of its flush', async () => {
    const fs = new MemoryFs()
    const alone: boolean[] = []
    const queue: (() => void)[] = []
    const { log } = await begin(testContext(fs), {
      schedule: (flush, nobodyElse) => {
        alone.push(nobodyElse)
        queue.push(flush)
      },
    })
    const begun = (): Promise<void> => {
      log.append(intent())
      return log.durable()
    }
    for (let i = 0; i <= COMPANY_FLUSHES; i++) {
      const waiting = begun()
      log.append({ type: 'OUTCOME', intent: log.size - 1, status: 'ok', captured: { calls: 1 } })
      queue.shift()?.()
      await waiting
    }
    alone.length = 0
    const before = fs.trace.length
    const first = begun()
    const second = begun()
    queue.shift()?.()
    expect(alone).toEqual([true, false])
    expect(fs.trace.length).toBe(before)
    const third = begun()
    queue.shift()?.()
    await Promise.all([first, second, third])
    expect(fs.trace.slice(before)).toEqual(['write', 'datasync'])
    log.abandon()
  })

  it('is durable only after the flush', async () => {
    const fs = new MemoryFs()
    const { schedule, tick } = manual()
    const { log } = await begin(testContext(fs), { schedule })
    log.append(DENIAL)
    let durable = false
    const waiting = log.durable().then(() => {
      durable = true
    })
    await Promise.resolve()
    expect(durable).toBe(false)
    tick()
    await waiting
    expect(durable).toBe(true)
    log.abandon()
  })

  it('latches on a failed flush with the reason, although the next flush would succeed', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs))
    log.append(intent())
    fs.fault = { at: fs.calls + 1, code: 'EIO' }
    await expect(log.durable()).rejects.toThrow('EIO')
    fs.fault = null
    const calls = fs.calls
    expect(log.latched).toContain('EIO')
    expect(() => log.append(DENIAL)).toThrow('EIO')
    await expect(log.durable()).rejects.toThrow('EIO')
    await expect(log.seal(RUN_END)).rejects.toThrow('EIO')
    await log.checkpoint()
    expect(fs.calls).toBe(calls)
    log.abandon()
  })

  it('says how to help when the disk is full', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs))
    log.append(DENIAL)
    fs.fault = { at: fs.calls, code: 'ENOSPC', partial: true }
    const error = await log.durable().catch((e: unknown) => e)
    expect(code(error)).toBe('E_AUDIT')
    expect((error as AuthorityError).message).toContain('ENOSPC')
    log.abandon()
  })

  it('stops new effects at its size limit, lets what began end, and can still be sealed', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { maxBytes: 32 * 1024 })
    const open = log.append(intent())
    expect(fill(log, () => log.append(intent()))).toBe('E_BUDGET_EXCEEDED')
    expect(log.latched).toBe(null)
    log.append({ type: 'OUTCOME', intent: open, status: 'ok', captured: { calls: 1 } })
    await log.durable()
    const { seq } = await log.seal(RUN_END)
    expect(seq).toBe(log.size - 1)
  })

  it('counts its own bytes against the budget log_bytes of the run', async () => {
    const fs = new MemoryFs()
    const installation = await openInstallation(HOME, testContext(fs))
    const start = runStart(installation)
    const limits = [...start.limits, { account: 'run', dimension: 'log_bytes', limit: 20_000 }]
    const log = await openRunLog({ path: `${HOME}/${RUN_ID}`, installation, start: { ...start, limits }, ...AT_ONCE })
    expect(fill(log, () => log.append(DENIAL))).toBe('E_BUDGET_EXCEEDED')
    await log.seal(RUN_END)
    expect(log.bytes - SEGMENT_HEADER_BYTES).toBeLessThanOrEqual(20_000)
  })

  it('does not begin with a budget that does not hold its first record', async () => {
    const installation = await openInstallation(HOME, testContext(new MemoryFs()))
    const start = runStart(installation)
    const limits = [{ account: 'run', dimension: 'log_bytes', limit: 2_000 }]
    const begun = openRunLog({ path: `${HOME}/${RUN_ID}`, installation, start: { ...start, limits }, ...AT_ONCE })
    await expect(begun).rejects.toMatchObject({ code: 'E_BUDGET_EXCEEDED' })
  })

  it('latches when not even a revocation has room left: what must hold cannot be told', async () => {
    const { log } = await begin(testContext(new MemoryFs()), { maxBytes: 32 * 1024 })
    const open = log.append(intent())
    expect(fill(log, () => log.append({ type: 'REVOKE', block: 'b'.repeat(32), by: 'operator' }))).toBe('E_AUDIT')
    expect(log.latched).toContain('no room')
    expect(() => log.append(DENIAL)).toThrow('no room')
    log.append({ type: 'OUTCOME', intent: open, status: 'ok', captured: { calls: 1 } })
    await log.seal(RUN_END)
  })

  it('refuses a record that is too large without harm', async () => {
    const { log } = await begin(testContext(new MemoryFs()))
    expect(() => log.append(intent('x'.repeat(70_000)))).toThrow('more than')
    expect(log.latched).toBe(null)
    log.append(DENIAL)
    await log.durable()
    log.abandon()
  })

  it('refuses a record that nests too deep without harm', async () => {
    const { log } = await begin(testContext(new MemoryFs()))
    let detail: Json = 1
    for (let i = 0; i < 63; i++) detail = [detail]
    expect(() => log.append({ type: 'GUEST', event: 'x', detail: { detail } })).toThrow('nests more than 64')
    log.append({ type: 'GUEST', event: 'x', detail: detail as unknown as { readonly [key: string]: Json } })
    await log.durable()
    log.abandon()
  })

  it('closes what is open when sealed, charged in full, and takes nothing afterwards', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs))
    log.append(intent('/a', { calls: 1, bytes: 7, concurrency: 1 }))
    await log.seal(RUN_END)
    const text = new TextDecoder().decode(fs.snapshot(HOME).get(`${RUN_ID}/seg-00000000.log`))
    expect(text).toContain('"status":"unknown","captured":{"calls":1,"bytes":7}')
    expect(() => log.append(DENIAL)).toThrow('sealed')
    await expect(log.seal(RUN_END)).rejects.toThrow('sealed')
  })

  it('trims preallocation when sealed', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { preallocate: true, segmentBytes: () => 65_536 })
    expect(fs.lstat(`${HOME}/${RUN_ID}/seg-00000000.log`)?.size).toBe(65_536)
    await work(log, 1)
    await log.seal(RUN_END)
    expect(fs.lstat(`${HOME}/${RUN_ID}/seg-00000000.log`)?.size).toBe(log.bytes)
  })

  it('lets one writer in only', async () => {
    const fs = new MemoryFs()
    const context = testContext(fs)
    const { log, installation } = await begin(context)
    await expect(openRunLog({ path: log.path, installation, start: runStart(installation), ...AT_ONCE })).rejects.toThrow('something at')
    log.abandon()
  })

  it('commits to values with a key of its own', async () => {
    const fs = new MemoryFs()
    const { log, installation } = await begin(testContext(fs))
    const other = await openRunLog({ path: `${HOME}/other`, installation, start: runStart(installation, 'f'.repeat(32)), ...AT_ONCE })
    expect(log.commit('secret')).toBe(log.commit(new TextEncoder().encode('secret')))
    expect(log.commit('secret')).toMatch(/^[0-9a-f]{64}$/)
    expect(log.commit('secret')).not.toBe(other.commit('secret'))
    log.abandon()
    other.abandon()
  })

  it('signs a checkpoint after so many records', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { checkpointRecords: 8 })
    const noted = (): number =>
      (new TextDecoder().decode(fs.snapshot(HOME).get('installation/seg-00000000.log')).match(/RUN_CHECKPOINT/g) ?? []).length
    await work(log, 4)
    await log.seal(RUN_END)
    expect(noted()).toBeGreaterThanOrEqual(2)
  })
})

describe('paths the log refuses', () => {
  const folders = [
    ['a symbolic link', { kind: 'symlink' }, 'symbolic link'],
    ['a folder of someone else', { kind: 'folder', mode: 0o700, uid: 7 }, 'belongs to uid 7'],
    ['a folder open to others', { kind: 'folder', mode: 0o755, uid: 1000 }, 'open to others'],
    ['a world-writable folder', { kind: 'folder', mode: 0o777, uid: 1000 }, 'open to others'],
  ] as const
  for (const [name, entry, message] of folders) {
    it(name, async () => {
      const fs = new MemoryFs()
      fs.plant(HOME, entry)
      await expect(openInstallation(HOME, testContext(fs))).rejects.toThrow(message)
    })
  }

  it('a folder below one that everyone may change', async () => {
    const fs = new MemoryFs()
    fs.plant('/shared', { kind: 'folder', mode: 0o777, uid: 0 })
    await expect(openInstallation('/shared/home', testContext(fs))).rejects.toThrow('may be changed by everyone')
    fs.plant('/shared', { kind: 'folder', mode: 0o1777, uid: 0 })
    await expect(openInstallation('/shared/home', testContext(fs))).resolves.toBeTruthy()
  })
})
