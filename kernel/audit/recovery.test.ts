import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openInstallation } from './installation.ts'
import { recoverRun } from './recovery.ts'
import { brokenPromises, callsOfARun, crashOnce } from './testing/crashes.ts'
import { MemoryFs } from './testing/memory-fs.ts'
import { begin, HOME, intent, RUN_END, RUN_ID, testContext, work } from './testing/scenario.ts'

const path = `${HOME}/${RUN_ID}`

describe('recovery', () => {
  it('keeps every acknowledged record when any file system call fails, and the log then verifies', async () => {
    const { from, to } = await callsOfARun()
    for (let at = from; at < to; at++) {
      const partial = at % 2 === 0
      const result = await crashOnce({ kind: 'fault', fault: { at, code: partial ? 'ENOSPC' : 'EIO', partial } }, () => at % 3 === 0)
      expect(brokenPromises(result), `call ${at}`).toEqual([])
    }
  })

  it('keeps them when the gate is killed at any call and unsynced sectors are lost or kept at random', async () => {
    const { from, to } = await callsOfARun()
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: from, max: to - 1 }), fc.infiniteStream(fc.boolean()), async (at, coins) => {
        const result = await crashOnce({ kind: 'kill', at }, () => coins.next().value === true)
        expect(brokenPromises(result)).toEqual([])
      }),
      { numRuns: 80 },
    )
  })

  it('charges an effect of unknown outcome in full and seals as a crash', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs))
    log.append(intent('/a', { calls: 1, bytes: 500 }))
    await log.durable()
    fs.crash(() => true)
    const installation = await openInstallation(HOME, testContext(fs, 5))
    expect(await recoverRun({ path, installation })).toMatchObject({ state: 'recovered', unknownEffects: 1 })
    const text = new TextDecoder().decode(fs.snapshot(path).get('seg-00000000.log'))
    expect(text).toContain('"status":"unknown","captured":{"calls":1,"bytes":500}')
    expect(text).toContain('"ended_by":"crash"')
    expect(await recoverRun({ path, installation })).toMatchObject({ state: 'sealed' })
  })

  it('leaves a run alone that is still written', async () => {
    const fs = new MemoryFs()
    const { log, installation } = await begin(testContext(fs))
    expect(await recoverRun({ path, installation })).toEqual({ state: 'live' })
    log.abandon()
  })

  it('refuses, and changes nothing, when the damage is none a crash leaves', async () => {
    const damage: [string, (bytes: Uint8Array) => Uint8Array][] = [
      ['a flipped bit', (b) => b.with(b.length - 100, (b[b.length - 100] ?? 0) ^ 1)],
      ['a cut before the last checkpoint', (b) => b.slice(0, 4096 + 200)],
      ['bytes behind the end', (b) => Uint8Array.from([...b, ...new Uint8Array(800).fill(1)])],
    ]
    for (const [name, change] of damage) {
      const fs = new MemoryFs()
      const { log } = await begin(testContext(fs))
      await work(log, 2)
      await log.checkpoint()
      await work(log, 1)
      log.abandon()
      const file = `${path}/seg-00000000.log`
      const bytes = change(fs.snapshot(path).get('seg-00000000.log') ?? new Uint8Array(0))
      const fd = fs.open(file, 'write')
      fs.truncate(fd, bytes.length)
      fs.write(fd, bytes, 0, bytes.length, 0)
      fs.close(fd)
      const before = fs.snapshot(path)
      const installation = await openInstallation(HOME, testContext(fs, 5))
      await expect(recoverRun({ path, installation }), name).rejects.toThrow(/audit log|record/i)
      expect(new Map([...fs.snapshot(path)].filter(([n]) => n !== 'lock')), name).toEqual(
        new Map([...before].filter(([n]) => n !== 'lock')),
      )
    }
  })

  it('knows from the installation log that records are missing', async () => {
    const fs = new MemoryFs()
    const { log, installation } = await begin(testContext(fs))
    const early = fs.snapshot(path)
    await work(log, 2)
    await log.seal(RUN_END)
    for (const [name, bytes] of early) {
      const fd = fs.open(`${path}/${name}`, 'write')
      fs.truncate(fd, bytes.length)
      fs.write(fd, bytes, 0, bytes.length, 0)
      fs.close(fd)
    }
    await expect(recoverRun({ path, installation })).rejects.toThrow('the installation log knows')
  })
})
