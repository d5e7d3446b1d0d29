import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Transport } from '../../kernel/gate/transport.ts'
import { examine, type Machine, type MachineSpec, startMachine } from '../machine/index.ts'
import { sha256 } from '../machine/store.ts'
import { CACHE, childrenOf, type Prepared, prepare, waitGone } from './machine-support.ts'

let vm: Prepared
let image: { path: string; sha256: string }
beforeAll(async () => {
  vm = await prepare()
  const bytes = new Uint8Array(1 << 20)
  bytes.set(new TextEncoder().encode('IMAGE!!'))
  image = { path: join(vm.folder, 'image'), sha256: sha256(bytes) }
  writeFileSync(image.path, bytes)
})
afterAll(() => vm.clean())

const spec = (change: Partial<MachineSpec> = {}): MachineSpec => ({
  ...({ arch: 'x86_64', accel: 'tcg', memoryMiB: 256, cpus: 1, console: false } as const),
  ...{ qemu: vm.qemu, launcher: vm.launcher, kernel: vm.kernel.path, initrd: vm.initrd, image, mounts: [], folder: vm.folder },
  ...change,
})

/** Machines of the running test: a failed one leaves none behind. */
const started: Machine[] = []
async function start(change: Partial<MachineSpec> = {}): Promise<Machine> {
  const machine = await startMachine(spec(change))
  started.push(machine)
  return machine
}
/** Gates of the running test, likewise. */
const gates: { kill(signal: 'SIGKILL'): void }[] = []
afterEach(async () => {
  for (const gate of gates.splice(0)) gate.kill('SIGKILL')
  for (const machine of started.splice(0)) {
    machine.kill()
    await machine.exited
  }
})

/** Reads until the text matches; the guest's silence ends with the test's own deadline. */
function until(transport: Transport, wanted: RegExp): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) => {
    transport.onData = (chunk) => {
      text += new TextDecoder().decode(chunk)
      if (wanted.test(text)) resolve(text)
    }
    transport.onClose = () => reject(new Error(`closed after: ${text}`))
  })
}

const closed = (transport: Transport) =>
  new Promise<void>((resolve) => {
    transport.onClose = resolve
  })

const say = (transport: Transport, text: string) => transport.write(new TextEncoder().encode(text))

describe('a machine', () => {
  test('boots the stock kernel, connects three ports, shows the golden devices and ends cleanly', async () => {
    const machine = await start()
    expect(readdirSync(vm.folder).filter((name) => name.startsWith('vm-'))).toEqual([])

    const [effects, net, control] = await Promise.all([
      until(machine.effects, /\n/),
      until(machine.net, /\n/),
      until(machine.control, /\n/),
    ])
    const [qemu] = childrenOf(machine.pid)
    const spaces = (pid: number | 'self') => ['net', 'mnt', 'pid', 'ipc', 'uts'].map((name) => readlinkSync(`/proc/${pid}/ns/${name}`))
    if (qemu === undefined) throw new Error('no QEMU')
    const ours = spaces('self')
    for (const space of spaces(qemu)) expect(ours).not.toContain(space)
    const status = readFileSync(`/proc/${qemu}/status`, 'utf8')
    expect(status).toMatch(/^CapEff:\t0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    expect(status).toMatch(/^Seccomp:\t2$/m)
    expect(Number(/^Uid:\t(\d+)/m.exec(status)?.[1])).toBeGreaterThan(0)

    expect(effects).toContain('hello authority.effects')
    expect(net).toContain('hello authority.net')
    const [, name, disk, access, ...devices] = control.trim().split(' ')
    expect([name, disk, access]).toEqual(['authority.control', 'IMAGE!!', 'ro'])
    const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../../fixtures/machine/x86_64-devices.json'), 'utf8')) as {
      devices: string[]
    }
    expect(devices).toEqual(golden.devices)

    const echoed = until(machine.net, /^(?:0123456789){50000}$/)
    say(machine.net, '0123456789'.repeat(50_000))
    await echoed
    const ends = [machine.effects, machine.net, machine.control].map(closed)
    say(machine.effects, 'quit')
    expect(await machine.exited).toMatchObject({ code: 0, signal: null })
    await Promise.all(ends)
    expect(sha256(readFileSync(image.path))).toBe(image.sha256)
  })

  test('killed: QEMU is gone when `exited` says so, and its ports are closed', async () => {
    const machine = await start()
    await until(machine.effects, /hello/)
    const [qemu = 0] = childrenOf(machine.pid)
    expect(qemu).toBeGreaterThan(0)
    const ends = [machine.effects, machine.net, machine.control].map((port) => {
      port.onData = () => {}
      return closed(port)
    })
    machine.kill()
    expect(await machine.exited).toMatchObject({ signal: 'SIGKILL' })
    expect(waitGone(qemu, 0)).toBe(true)
    await Promise.all(ends)
  })

  test('SIGKILL of the gate leaves no QEMU and no launcher', async () => {
    const script = join(vm.folder, 'gate.ts')
    const source = `import { startMachine } from ${JSON.stringify(join(import.meta.dirname, '../machine/index.ts'))}
      const machine = await startMachine(${JSON.stringify(spec())})
      machine.effects.onData = () => console.log(machine.pid)`
    writeFileSync(script, source)
    const gate = Bun.spawn([process.execPath, script], { stdio: ['ignore', 'pipe', 'inherit'] })
    gates.push(gate)
    const reader = gate.stdout.getReader()
    const launcher = Number(new TextDecoder().decode((await reader.read()).value).trim())
    const [qemu = 0] = childrenOf(launcher)
    expect(qemu).toBeGreaterThan(0)
    gate.kill('SIGKILL')
    await gate.exited
    expect(waitGone(launcher, 5_000)).toBe(true)
    expect(waitGone(qemu, 5_000)).toBe(true)
  })

  test('killed while the cell is still being made: nothing is left either', async () => {
    const machine = await start()
    machine.kill()
    await machine.exited
    expect(waitGone(machine.pid, 0)).toBe(true)
  })

  test('a changed image is refused before anything starts', async () => {
    await expect(startMachine(spec({ image: { ...image, sha256: '0'.repeat(64) } }))).rejects.toMatchObject({ code: 'E_CONFLICT' })
  })

  test('the console is the guest’s kernel log', async () => {
    let log = ''
    let seen = () => {}
    const said = new Promise<void>((resolve) => {
      seen = resolve
    })
    await start({
      console: true,
      onConsole: (chunk) => {
        log += new TextDecoder().decode(chunk)
        if (log.includes('Linux version')) seen()
      },
    })
    await said
  })
})

test('doctor finds what is there, and what is wrong with a home folder others may read', async () => {
  const home = join(vm.folder, 'home')
  mkdirSync(home, { mode: 0o755 })
  chmodSync(home, 0o755)
  const checks = await examine({ arch: 'x86_64', homeFolder: home, cacheFolder: CACHE, launcher: vm.launcher })
  const verdicts = Object.fromEntries(checks.map((check) => [check.id, check.verdict]))
  expect(verdicts).toMatchObject({ host: 'ok', qemu: 'ok', cell: 'ok', apt: 'ok', kernel: 'ok', disk: 'ok', home: 'fail' })
  expect(checks.find((check) => check.id === 'home')?.fix).toBe(`chmod 700 ${home}`)
  for (const check of checks) if (check.verdict !== 'ok') expect(check.fix).not.toBeNull()
})
