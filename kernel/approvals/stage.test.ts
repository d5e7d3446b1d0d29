import { AuthorityError } from '@authority/protocol'
import { beforeEach, describe, expect, it } from 'vitest'
import type { RecordBody } from '../audit/types.ts'
import { type ApprovalDesk, type ApprovalRequest, createApprovals, type PendingApproval } from './index.ts'
import { MAX_PENDING } from './limits.ts'

let records: RecordBody[]
let shown: PendingApproval[]
let timers: { at: number; call: () => void }[]
let now: number
let release: (() => void)[]
let hold: boolean
let desk: ApprovalDesk
let settled: string[]

const deskOf = (run: string): ApprovalDesk =>
  createApprovals({
    run,
    audit: {
      append: (body) => records.push(body),
      durable: () => (hold ? new Promise((resolve) => release.push(resolve)) : Promise.resolve()),
    },
    clock: { wallMs: () => 0, monotonicMs: () => now },
    after: (ms, call) => {
      const timer = { at: now + ms, call }
      timers.push(timer)
      return () => {
        timers = timers.filter((each) => each !== timer)
      }
    },
    onAsked: (pending) => shown.push(pending),
    onSettled: (digest) => settled.push(digest),
  })

beforeEach(() => {
  settled = []
  records = []
  shown = []
  timers = []
  now = 0
  release = []
  hold = false
  desk = deskOf('r')
})

const pass = (ms: number): void => {
  now += ms
  const due = timers.filter(({ at }) => at <= now)
  timers = timers.filter(({ at }) => at > now)
  for (const timer of due) timer.call()
}
const request = (change: Partial<ApprovalRequest> = {}): ApprovalRequest => ({
  operation: 'fs.open',
  question: { action: 'fs.write', object: '/work/x' },
  argsBytes: new Uint8Array([1]),
  policy: 'p',
  session: 'effects:1',
  rule: '/fs/ask/write/0',
  timeoutMs: 1000,
  ...change,
})
const never = new AbortController().signal
const events = (): unknown[] => records.map((record) => (record.type === 'APPROVAL' ? [record.event, record.by] : record.type))

describe('a request for approval', () => {
  it('is shown, approved once, and used up by the one that waits', async () => {
    const waits = desk.wait(request(), never)
    expect(shown).toMatchObject([{ permission: 'fs.write', object: '/work/x', leftMs: 1000, rule: '/fs/ask/write/0' }])
    await desk.decide(shown[0]?.id ?? '', 'once', 'uid 0: ann')
    expect(await waits).toBe('approved')
    expect(desk.list()).toEqual([])
    expect(desk.take(desk.digestOf(request()))).toBe(false)
    expect(events()).toEqual([
      ['asked', null],
      ['once', 'uid 0: ann'],
    ])
    expect(timers).toEqual([])
  })

  it('holds for the run when it was approved for the run', async () => {
    const waits = [desk.wait(request(), never), desk.wait(request(), never)]
    await desk.decide(shown[0]?.digest ?? '', 'run', 'ann')
    expect(await Promise.all(waits)).toEqual(['approved', 'approved'])
    for (let uses = 0; uses < 3; uses++) expect(desk.take(desk.digestOf(request()))).toBe(true)
    expect(desk.take(desk.digestOf(request({ argsBytes: new Uint8Array([2]) })))).toBe(false)
  })

  it('approved once lets one of two go on, and asks again for the other', async () => {
    const [first, second] = [desk.wait(request(), never), desk.wait(request(), never)]
    await desk.decide(shown[0]?.id ?? '', 'once', 'ann')
    expect(await first).toBe('approved')
    expect(shown).toHaveLength(2)
    await desk.decide(shown[1]?.id ?? '', 'deny', 'ann')
    expect(await second).toBe('denied')
  })

  it('posted without waiting is found by the next that asks, once', async () => {
    const id = desk.post(request())
    await desk.decide(id, 'once', 'ann')
    expect(desk.take(desk.digestOf(request()))).toBe(true)
    expect(desk.take(desk.digestOf(request()))).toBe(false)
  })

  it('is denied when the time is up, and when the run ends', async () => {
    const waits = desk.wait(request(), never)
    pass(999)
    expect(desk.list()).toHaveLength(1)
    pass(1)
    expect(await waits).toBe('expired')
    expect(events().at(-1)).toEqual(['expired', null])
    const other = desk.wait(request(), never)
    desk.end()
    expect(await other).toBe('denied')
    expect(timers).toEqual([])
  })

  it('is withdrawn with the last that waits', async () => {
    const abort = new AbortController()
    const waits = desk.wait(request(), abort.signal)
    abort.abort(new Error('gone'))
    await expect(waits).rejects.toThrow('gone')
    expect(desk.list()).toEqual([])
    expect(events().at(-1)).toEqual(['withdrawn', null])
  })

  it('goes on only when the decision is durable', async () => {
    hold = true
    let outcome = 'waiting'
    const waits = desk.wait(request(), never).then((found) => {
      outcome = found
      return found
    })
    const decided = desk.decide(shown[0]?.id ?? '', 'once', 'ann')
    await Promise.resolve()
    expect(outcome).toBe('waiting')
    await expect(desk.decide(shown[0]?.id ?? '', 'deny', 'bob')).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    for (const go of release) go()
    await decided
    expect(await waits).toBe('approved')
  })

  it('differs in every part of its digest', () => {
    const others: Partial<ApprovalRequest>[] = [
      { operation: 'fs.unlink' },
      { question: { action: 'fs.read', object: '/work/x' } },
      { question: { action: 'fs.write', object: '/work/y' } },
      { question: { action: 'fs.write', object: '/work/x', makes: 'directory' } },
      { argsBytes: new Uint8Array([1, 0]) },
      { policy: 'q' },
    ]
    const digests = [request(), ...others.map(request)].map((each) => desk.digestOf(each))
    expect(new Set(digests).size).toBe(digests.length)
    const { argsBytes: _, ...bare } = request()
    expect(desk.digestOf(bare)).not.toBe(desk.digestOf(request({ argsBytes: new Uint8Array() })))
  })

  it('approved in one run is nothing in another, nor is its name', async () => {
    const other = deskOf('s')
    const [id] = [desk.post(request()), other.post(request())]
    await desk.decide(id, 'run', 'ann')
    expect([desk.take(desk.digestOf(request())), other.take(other.digestOf(request()))]).toEqual([true, false])
    await expect(other.decide(id, 'once', 'ann')).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  })

  it('is told to have been settled once, however it ended', async () => {
    const digest = (object: string): string => desk.digestOf(request({ question: { action: 'fs.write', object } }))
    const ask = (object: string, signal = never) => desk.wait(request({ question: { action: 'fs.write', object } }), signal)
    const abort = new AbortController()
    const waits = [ask('/a'), ask('/b'), ask('/c', abort.signal)]
    await desk.decide(digest('/a'), 'once', 'ann')
    abort.abort(new Error('gone'))
    pass(1000)
    await Promise.allSettled(waits)
    const last = ask('/d')
    desk.end()
    await last
    expect(settled).toEqual(['/a', '/c', '/b', '/d'].map(digest))
  })

  it('is refused when too many wait, or when nobody knows it', async () => {
    for (let index = 0; index < MAX_PENDING; index++) desk.post(request({ question: { action: 'fs.read', object: `/${index}` } }))
    expect(() => desk.post(request())).toThrow(AuthorityError)
    await expect(desk.decide('ffff', 'once', 'ann')).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    await expect(desk.decide('', 'once', 'ann')).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  })
})
