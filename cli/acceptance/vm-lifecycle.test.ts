/** How runs of the compiled binary end, with a real VM: exit codes, streams, signals, limits, and what is left when a process is killed. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readRun } from '../runs/run-record.ts'
import { waitGone } from './machine-support.ts'
import { authority, prepareVm, probed, runFolders, type Started, startRun, type Vm } from './vm-guest/binary.ts'
import { descendantsOf, inTurn, leftovers } from './vm-support.ts'

/** ms of wall time reserved at once (INV-3). */
const SLICE_MS = 250

let vm: Vm
beforeAll(async () => {
  vm = await prepareVm()
})
afterAll(() => vm.clean())

/** Resolves once the agent said that it runs; the output goes on. */
function running(started: Started): Promise<void> {
  return new Promise((resolve, reject) => {
    started.child.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.includes('begun')) resolve()
    })
    started.child.on('close', () => reject(new Error('ended before the agent began')))
  })
}

/** The folder of a run, by the id its start line gave. */
function folderOf(stderr: string): string {
  const id = /run ([0-9a-f]{12})/.exec(stderr)?.[1] ?? 'none'
  return runFolders(vm).find((folder) => basename(folder).startsWith(id)) ?? ''
}

test.concurrent('stdin reaches the agent, its exit code comes back', () =>
  inTurn(async () => {
    const input = Buffer.from('größe\n'.repeat(20_000))
    const { code, stdout, facts } = await startRun(vm, ['cat', '42'], { input }).done
    expect(stdout.equals(input)).toBe(true)
    expect(code).toBe(42)
    expect(facts).toMatchObject({ exit_code: 42, ended_by: 'agent' })
  }))

test.concurrent('10 MiB of output to a reader that takes its time: whole, in order', () =>
  inTurn(async () => {
    const slowly = async (stdout: Readable): Promise<Buffer> => {
      const chunks: Buffer[] = []
      for await (const chunk of stdout) {
        chunks.push(chunk as Buffer)
        await new Promise((resolve) => setImmediate(resolve))
      }
      return Buffer.concat(chunks)
    }
    const bytes = 10 << 20
    const { code, stdout } = await startRun(vm, ['flood', String(bytes)], { take: slowly }).done
    expect(code).toBe(0)
    expect(stdout.length).toBe(bytes)
    for (let line = 0; line < bytes / 64; line += 997) expect(stdout[line * 64]).toBe(0x61 + (line % 26))
  }))

test.concurrent('an agent ended by a signal: 128 and its number', () =>
  inTurn(async () => {
    const { code, facts } = await startRun(vm, ['signal', '11']).done
    expect(code).toBe(139)
    expect(facts).toMatchObject({ exit_code: 139, ended_by: 'signal' })
  }))

test.concurrent('--memory and --cpus are what the guest has; what its programs leave is reaped', () =>
  inTurn(async () => {
    const { code, stdout } = await startRun(vm, ['machine'], { flags: ['--memory', '384MiB', '--cpus', '2'] }).done
    expect(code).toBe(0)
    const { processors, memory } = probed(stdout)
    expect(processors).toBe('2')
    // What the kernel itself takes is not there any more.
    expect(Number(memory)).toBeGreaterThan(256)
    expect(Number(memory)).toBeLessThan(384)
    const orphans = await startRun(vm, ['orphans', '300']).done
    expect(probed(orphans.stdout)).toEqual({ 'processes left': '1' })
  }))

test.concurrent('an agent that eats all memory: 137, and the end says why; a child that does so ends alone', () =>
  inTurn(async () => {
    const eater = await startRun(vm, ['eat'], { flags: ['--memory', '128MiB'] }).done
    expect(eater.code).toBe(137)
    expect(eater.facts).toMatchObject({ exit_code: 137, ended_by: 'signal' })
    expect(eater.stderr).toMatch(/ended by signal \(exit code 137\): .* had no memory left .*--memory/)
    const parent = await startRun(vm, ['eat-child'], { flags: ['--memory', '128MiB'] }).done
    expect(parent.code).toBe(0)
    expect(probed(parent.stdout)).toEqual({ child: 'Killed' })
    expect(parent.stderr).toMatch(/ended with exit code 0: the machine had no memory left/)
  }))

// That it is one slice beyond at most is kernel/budget/slices.test.ts's to show: on a machine that lets the gate wait, a late tick is captured in full.
test.concurrent('a CPU time budget ends the machine: 124, and what is spent is known', () =>
  inTurn(async () => {
    const { code, facts } = await startRun(vm, ['spin'], { flags: ['--budget', 'cpu=6s'] }).done
    expect(code).toBe(124)
    expect(facts).toMatchObject({ ended_by: 'timeout' })
    const spent = facts === null ? 0 : (facts.spent as { cpu_ms: number }).cpu_ms
    expect(spent).toBeGreaterThanOrEqual(6_000 - SLICE_MS)
    expect(spent).toBeLessThan(2 * 6_000)
  }))

test.concurrent('--timeout: 124', () =>
  inTurn(async () => {
    const { code, facts } = await startRun(vm, ['wait'], { flags: ['--timeout', '6s'] }).done
    expect(code).toBe(124)
    expect(facts).toMatchObject({ ended_by: 'timeout' })
  }))

test.concurrent('a wall time budget ends the machine: 124, and what is spent is known', () =>
  inTurn(async () => {
    const { code, facts } = await startRun(vm, ['spin'], { flags: ['--budget', 'wall_time=5s'] }).done
    expect(code).toBe(124)
    expect(facts).toMatchObject({ ended_by: 'timeout' })
    const spent = facts === null ? 0 : (facts.spent as { wall_time_ms: number }).wall_time_ms
    expect(spent).toBeGreaterThanOrEqual(5_000 - SLICE_MS)
    expect(spent).toBeLessThan(2 * 5_000)
  }))

test.concurrent('a program no rule lets execute: 126', () =>
  inTurn(async () => {
    const { code, facts, stderr } = await startRun(vm, ['cat', '0'], { policy: vm.at('nothing.json') }).done
    expect(stderr).toMatch(/cannot be executed in the guest \(errno 1\): the policy denies \/\S+ of its image/)
    expect(code).toBe(126)
    expect(facts).toMatchObject({ ended_by: 'exec' })
  }))

test.concurrent('2,000 denials: each refused, counted, recorded once', () =>
  inTurn(async () => {
    const { code, facts } = await startRun(vm, ['denials', '2000']).done
    expect(code).toBe(0)
    expect(facts?.denials).toBeGreaterThan(0)
    const verified = await authority(vm, 'audit', 'verify', String(facts?.run))
    expect(verified.code).toBe(0)
  }))

test.concurrent.each(['qemu-system', 'authority-files'])(
  '%s killed under the agent: 125, nothing of the cell is left, and the log is sealed',
  (name) =>
    inTurn(async () => {
      const started = startRun(vm, ['wait'])
      await running(started)
      const family = descendantsOf(started.child.pid ?? 0)
      const victim = family.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith(name)) ?? 0
      expect(victim).toBeGreaterThan(0)
      process.kill(victim, 'SIGKILL')
      const { code, facts, stderr } = await started.done
      expect(code).toBe(125)
      expect(stderr).toMatch(/(went away|closed its control port while running): QEMU ended \((SIGKILL|status 137)\)/)
      for (const pid of family) expect(waitGone(pid, 5_000)).toBe(true)
      expect((await authority(vm, 'audit', 'verify', String(facts?.run))).code).toBe(0)
    }),
)

test.concurrent('an interrupt, twice, of an agent that ignores it: the VM is stopped and the log sealed', () =>
  inTurn(async () => {
    const started = startRun(vm, ['wait'])
    await running(started)
    const family = descendantsOf(started.child.pid ?? 0)
    started.child.kill('SIGINT')
    started.child.kill('SIGINT')
    const { code, facts } = await started.done
    expect(code).toBe(130)
    for (const pid of family) expect(waitGone(pid, 5_000)).toBe(true)
    expect((await authority(vm, 'audit', 'verify', String(facts?.run))).code).toBe(0)
  }))

test.concurrent.each(['gate', 'supervisor'] as const)(
  'SIGKILL of the %s: no process, no socket; the next command recovers the log',
  (victim) =>
    inTurn(async () => {
      const started = startRun(vm, ['wait'])
      await running(started)
      const supervisor = started.child.pid ?? 0
      const family = descendantsOf(supervisor)
      const [gate = 0] = family
      expect(family.length).toBeGreaterThanOrEqual(3)
      process.kill(victim === 'gate' ? gate : supervisor, 'SIGKILL')
      const { code, signal, stderr } = await started.done
      if (victim === 'gate') expect(code).toBe(125)
      else expect(signal).toBe('SIGKILL')
      for (const pid of family) expect(waitGone(pid, 15_000), `process ${pid} outlived its ${victim}`).toBe(true)

      const folder = folderOf(stderr)
      expect((await authority(vm, 'runs', 'ls')).code).toBe(0)
      const verified = await authority(vm, 'audit', 'verify', basename(folder))
      // A gate that outlives its supervisor for a moment may still seal the log; one that was killed cannot.
      if (verified.code === 0) expect([victim, readRun(folder).ended_by]).toEqual(['supervisor', 'signal'])
      else expect(verified).toMatchObject({ code: 2, out: expect.stringContaining('recovered') })
      expect(leftovers(folder)).toEqual([])
      expect(readRun(folder)).toMatchObject({ state: 'ended' })
    }),
)
