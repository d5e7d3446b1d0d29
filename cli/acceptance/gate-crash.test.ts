import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Answer, GateClient } from './gate-client.ts'
import { killRound } from './gate-kill.ts'
import { brokenPromises, type GateWorld, load, recordsOf, startGate } from './gate-load.ts'

const isRoot = process.getuid?.() === 0
const hasStrace = spawnSync('strace', ['-V']).status === 0

describe('SIGKILL under load', () => {
  // Other moments under `npm run campaign -- gate-crash`.
  test.each([1, 2, 3, 4, 5, 6])(
    'round %i: every effect that happened has its INTENT, every acknowledged one its OUTCOME, nothing is left',
    async (seed) => {
      const { broken } = await killRound(seed)
      expect(broken).toEqual([])
    },
  )
})

/** Drives the gate until it says E_AUDIT, then tries everything again: all refused, and neither disk nor upstream sees more. */
async function untilLatched(world: GateWorld): Promise<void> {
  const seen: Answer[] = []
  const latched = (): boolean => seen.includes('E_AUDIT')
  const probes = await Promise.all(Array.from({ length: 2 }, () => GateClient.connect(world.socket)))
  await Promise.all([0, 1, 2].map((client) => load(world, client, (answer) => void seen.push(answer), latched)))
  expect(latched()).toBe(true)
  const before = { files: readdirSync(world.tree).sort(), upstream: [...world.upstream].sort() }
  for (const probe of probes) {
    for (let i = 0; i < 10; i++) {
      expect(await probe.call('fs.open', [`/work/later-${i}`, 11, 0o600])).toMatch(/^(E_AUDIT|gone)$/)
      expect(await probe.call('fs.unlink', [`/work/${before.files[0]}`])).toMatch(/^(E_AUDIT|gone)$/)
      expect(await probe.call('fs.stat', ['/work'])).toMatch(/^(E_AUDIT|gone)$/)
      expect(await probe.call('net.fetch', ['GET', `http://up.example:${world.port}/later`, [], null, 0, 1000, 0, 0, null])).toMatch(
        /^(E_AUDIT|gone)$/,
      )
    }
    probe.close()
  }
  expect({ files: readdirSync(world.tree).sort(), upstream: [...world.upstream].sort() }).toEqual(before)
}

describe('a log that cannot be written', () => {
  test.skipIf(!hasStrace)('every flush fails from some moment on: everything is refused, nothing happens, the run ends', async () => {
    const world = await startGate({
      prefix: ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=40+'],
    })
    try {
      const ended = new Promise<number | null>((done) => world.supervisor.once('exit', done))
      await untilLatched(world)
      expect(await ended).toBe(125)
      const records = await recordsOf(join(world.home, 'runs', world.run, 'audit'))
      const told = brokenPromises(
        { ...world, told: { opened: new Set(), written: new Set(), closed: new Set(), fetched: new Set() } },
        { status: 'recovered' } as never,
        records,
      )
      expect(told).toEqual([])
    } finally {
      await world.close()
    }
  })

  test.skipIf(!isRoot)('the disk is full: everything is refused, nothing happens, the run ends', async () => {
    const mount = mkdtempSync(join(tmpdir(), 'gate-disk-'))
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1600k,mode=700', 'tmpfs', mount]).status === 0
    try {
      if (!mounted) return
      mkdirSync(join(mount, 'home'), { mode: 0o700 })
      const world = await startGate({ home: join(mount, 'home') })
      try {
        const ended = new Promise<number | null>((done) => world.supervisor.once('exit', done))
        await untilLatched(world)
        expect(await ended).toBe(125)
      } finally {
        await world.close()
      }
    } finally {
      if (mounted) spawnSync('umount', [mount])
      if (existsSync(mount)) rmSync(mount, { recursive: true, force: true })
    }
  })
})
