import { describe, expect, it } from 'vitest'
import { escapeForDisplay, followRecords, type RecordFilter, readRecords } from './show.ts'
import { MemoryFs } from './testing/memory-fs.ts'
import { begin, HOME, intent, RUN_END, RUN_ID, testContext, work } from './testing/scenario.ts'

const path = `${HOME}/${RUN_ID}`

async function numbers(fs: MemoryFs, filter: Parameters<typeof readRecords>[1]): Promise<number[]> {
  const found: number[] = []
  for await (const { seq } of readRecords(path, filter, fs)) found.push(seq)
  return found
}

describe('reading records', () => {
  it('gives all of them over several segments, also while the run goes on', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { segmentBytes: () => 4096 + 3000, preallocate: true })
    await work(log, 6)
    expect(await numbers(fs, {})).toEqual(Array.from({ length: log.size }, (_, i) => i))
    log.abandon()
  })

  it('reads records longer than a window is left', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { preallocate: true })
    for (let i = 0; i < 30; i++) log.append(intent('x'.repeat(20_000)))
    await log.durable()
    expect(await numbers(fs, {})).toHaveLength(log.size)
    log.abandon()
  })

  it('filters by number, type, operation and denial', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs))
    await work(log, 2)
    expect(await numbers(fs, { from: 3, to: 5 })).toEqual([3, 4, 5])
    expect(await numbers(fs, { types: ['RUN_START'] })).toEqual([0])
    expect(await numbers(fs, { denied: true })).toHaveLength(2)
    expect(await numbers(fs, { op: 'fs.open' })).toHaveLength(6)
    expect(await numbers(fs, { op: 'net.dns' })).toEqual([])
    log.abandon()
  })

  it('says when there is no log', async () => {
    await expect(numbers(new MemoryFs(), {})).rejects.toThrow('no audit log')
  })
})

describe('text for a terminal', () => {
  it('has no character left that controls, hides or reorders', () => {
    const hostile = 'a\u001b[31m\u202e\u2066\u200b\ufeff\r\n\u0000\u009b\u2028\ud800\\'
    const shown = escapeForDisplay(hostile)
    expect(shown).toBe('a\\u{1b}[31m\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{d}\\u{a}\\u{0}\\u{9b}\\u{2028}\\u{d800}\\\\')
    expect(escapeForDisplay('/data/größe 日本.txt')).toBe('/data/größe 日本.txt')
  })
})

describe('following and filtering', () => {
  async function recordsOf(filter: RecordFilter): Promise<number[]> {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { segmentBytes: () => 4096 + 3000 })
    await work(log, 6)
    await log.seal(RUN_END)
    const found: number[] = []
    for await (const { seq } of readRecords(log.path, filter, fs)) found.push(seq)
    return found
  }

  it('finds records by object, rule, subject and time, and from the middle of the segments', async () => {
    const all = await recordsOf({})
    expect(await recordsOf({ object: '/data/3' })).toHaveLength(2)
    expect(await recordsOf({ rule: '/fs/read' })).toHaveLength(12)
    expect(await recordsOf({ subject: 's:1', denied: true })).toHaveLength(6)
    expect(await recordsOf({ subject: 'nobody' })).toEqual([])
    expect(await recordsOf({ decision: 'denied' })).toEqual(await recordsOf({ denied: true }))
    expect(await recordsOf({ decision: 'allowed' })).toEqual(await recordsOf({ types: ['INTENT'] }))
    expect(await recordsOf({ decision: 'asked' })).toEqual([])
    expect(await recordsOf({ since: '2999' })).toEqual([])
    expect(await recordsOf({ until: '2999' })).toEqual(all)
    expect(await recordsOf({ from: 31 })).toEqual(all.slice(31))
  })

  it('finds what was looked at and what was asked, too', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs))
    const looks = [
      { op: 'fs.stat', rule: '/fs/read/0', object: '/data/a', count: 1 },
      { op: 'fs.readdir', rule: '/fs/read/1', object: '/data/b', count: 1 },
    ]
    const look = log.append({ type: 'LOOK', counts: looks })
    const about = { op: 'fs.open', session: 's:9', action: 'fs.write', object: '/data/c', rule: '/fs/ask/0', policy: 'ab' }
    const asked = log.append({ type: 'APPROVAL', event: 'once', request: 'f'.repeat(64), ...about, by: 'ann' })
    await log.seal(RUN_END)
    const find = async (filter: RecordFilter): Promise<number[]> => {
      const found: number[] = []
      for await (const { seq } of readRecords(log.path, filter, fs)) found.push(seq)
      return found
    }
    for (const filter of [{ op: 'fs.readdir' }, { object: '/data/a' }, { rule: '/fs/read/1' }, { decision: 'allowed' }] as const)
      expect(await find(filter)).toEqual([look])
    for (const filter of [{ subject: 's:9' }, { subject: 'ann' }, { rule: '/fs/ask' }, { decision: 'asked' }] as const)
      expect(await find(filter)).toEqual([asked])
    // The operation of one look and the object of another are no record's.
    expect(await find({ op: 'fs.stat', object: '/data/b' })).toEqual([])
  })

  it('goes on while a gate writes, over segments, and ends with the run', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { segmentBytes: () => 4096 + 3000 })
    let rounds = 0
    const wait = async (): Promise<void> => {
      if (rounds++ < 5) await work(log, 1)
      else await log.seal(RUN_END)
    }
    const seen: number[] = []
    for await (const { seq } of followRecords(log.path, {}, wait, () => false, fs)) seen.push(seq)
    expect(seen).toEqual(seen.map((_, i) => i))
    expect(seen).toHaveLength(log.size)
  })
})
