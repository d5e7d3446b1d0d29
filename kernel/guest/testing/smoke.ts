/**
 * Boots init for real and looks at each of its promises but host mounts, whose devices are cli/machine's: `bun kernel/guest/testing/smoke.ts VMLINUZ MODULES_FOLDER [CASE…]`, where the folder is
 * lib/modules/VERSION/kernel of an unpacked Debian 12 cloud kernel (amd64). Needs qemu-system-x86_64, mkfs.erofs and musl-gcc. Prints `N passed, M failed`.
 */
import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileInit } from '../build-init.ts'
import type { GuestExit, GuestSetup, OpenQuestion } from '../index.ts'
import { smokeInitrd } from './initrd.ts'
import { bootVm, type SmokeVm } from './vm.ts'

const MODULES =
  'virtio/virtio_ring virtio/virtio virtio/virtio_pci_legacy_dev virtio/virtio_pci_modern_dev virtio/virtio_pci char/virtio_console block/virtio_blk'
    .split(' ')
    .map((name) => `drivers/${name}.ko`)
    .concat(['arch/x86/crypto/crc32c-intel.ko', 'lib/libcrc32c.ko', 'fs/erofs/erofs.ko'])
/** ms one case may take. */
const CASE_DEADLINE_MS = 60_000

interface Run {
  readonly vm: SmokeVm
  readonly questions: string[]
  readonly text: () => string
  exit(): Promise<GuestExit>
}
type Case = (
  start: (argv: readonly string[], options?: { readonly uid?: number; readonly setup?: Partial<GuestSetup> }) => Promise<Run>,
) => Promise<void>

const [kernel, modulesFolder, ...wanted] = process.argv.slice(2)
if (kernel === undefined || modulesFolder === undefined) {
  console.error('usage: smoke.ts VMLINUZ MODULES_FOLDER [CASE…]')
  process.exit(64)
}
const folder = mkdtempSync(join(tmpdir(), 'guest-smoke-'))

const CASES: Readonly<Record<string, Case>> = {
  'agent runs as uid 1000, exits with its status': async (start) => {
    const run = await start(['hello'])
    expectEqual((await run.exit()).value, 7)
    expectHas(run.text(), 'uid 1000 gid 1000 cwd /', 'to stderr')
  },
  'image files are asked about': async (start) => {
    const run = await start(['open', '/etc/ok', '/etc/ok', '/etc/deny', '/etc/twice', '/link/deny'])
    await run.exit()
    expectHas(run.text(), '/etc/ok fine', '/etc/deny Operation not permitted', '/link/deny Operation not permitted')
    expectEqual(run.questions.filter((question) => question === 'read /etc/ok').length, 1)
  },
  'sessions carry frames of every size': async (start) => {
    const small = await start(['echo', '100', '50'])
    await small.exit()
    expectHas(small.text(), 'echoed 50')
  },
  'frames of a mebibyte pass': async (start) => {
    const large = await start(['echo', '1000000', '3'])
    await large.exit()
    expectHas(large.text(), 'echoed 3')
  },
  'a bad client ends alone': async (start) => {
    const run = await start(['bad-clients'])
    await run.exit()
    expectHas(run.text(), 'forged 0', 'huge 0', 'deaf closed', 'echoed 1')
  },
  'what is refused is refused': async (start) => {
    const run = await start(['refused'])
    await run.exit()
    const denied = ['mount', 'userns', 'io_uring', 'bpf', 'kill-init', 'setuid'].map((name) => `${name} Operation not permitted`)
    expectHas(run.text(), ...denied, 'clone3 Function not implemented', 'vsock Address family', 'netlink-audit Address family')
    expectHas(run.text(), 'netlink-route ok', 'inet ok', 'see-init No such', 'sys No such', 'core_pattern Perm', 'socket-folder Perm')
  },
  'a foreign ABI is killed': async (start) => expectEqual((await (await start(['x32'])).exit()).kind, 'signal'),
  'what the agent leaves is killed': async (start) => expectEqual((await (await start(['leave'])).exit()).value, 3),
  'more opens than questions wait, and all are answered': async (start) => {
    const run = await start(['many-opens'])
    await run.exit()
    expectHas(run.text(), 'bad 0')
  },
  'memory runs out for its eater alone': async (start) => {
    const run = await start(['eat-memory'])
    await run.exit()
    expectHas(run.text(), 'child ended by 9', '/etc/ok fine')
  },
  'stdin passes whole': async (start) => {
    const run = await start(['copy'])
    await run.vm.link.writeStdin(new Uint8Array(300_000).fill(65))
    run.vm.link.endStdin()
    await run.exit()
    expectEqual(run.text().length, 300_000)
  },
  'a signal reaches the agent': async (start) => {
    const run = await start(['wait'])
    run.vm.link.signal(15)
    expectEqual((await run.exit()).value, 15)
  },
  'the guest ends with the gate': async (start) => {
    const run = await start(['wait'])
    run.vm.ports.control.close()
    await run.vm.ended
  },
  'root is refused': async (start) => expectFault((await start(['hello'], { uid: 0 })).exit(), 'agent'),
  'mounts inside mounts are refused': async (start) => {
    const mounts = [mount(1, '/w'), mount(2, '/w/x')]
    await expectFault(start(['hello'], { setup: { mounts } }), 'fuse')
  },
  'mount points do not cross symbolic links': async (start) =>
    expectFault(start(['hello'], { setup: { mounts: [mount(1, '/link/w')] } }), 'fuse'),
}

try {
  await prepare()
  let failed = 0
  const names = Object.keys(CASES).filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  for (const name of names) if (!(await passes(name, CASES[name] as Case))) failed++
  console.log(`${names.length - failed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function prepare(): Promise<void> {
  const image = join(folder, 'image')
  for (const name of ['bin', 'etc']) mkdirSync(join(image, name), { recursive: true })
  execFileSync(
    'musl-gcc',
    ['-O2', '-static', '-idirafter', '/usr/include', '-idirafter', '/usr/include/x86_64-linux-gnu'].concat([
      '-o',
      join(image, 'bin/agent'),
      join(import.meta.dirname, 'agent.c'),
    ]),
  )
  writeFileSync(join(image, 'etc/ok'), 'fine')
  writeFileSync(join(image, 'etc/deny'), 'secret')
  linkSync(join(image, 'etc/deny'), join(image, 'etc/twice'))
  execFileSync('ln', ['-s', 'etc', join(image, 'link')])
  execFileSync('mkfs.erofs', [join(folder, 'image.erofs'), image], { stdio: 'ignore' })
  await compileInit('x86_64', join(folder, 'init'))
  writeFileSync(
    join(folder, 'initrd'),
    smokeInitrd(
      join(folder, 'init'),
      MODULES.map((path) => join(modulesFolder as string, path)),
    ),
  )
}

async function passes(name: string, run: Case): Promise<boolean> {
  let vm: SmokeVm | null = null
  let late: NodeJS.Timeout | undefined
  try {
    const deadline = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error('took too long')), CASE_DEADLINE_MS)
    })
    const ended = run(async (argv, options = {}) => {
      const started = await startAgent(argv, options, (booted) => {
        vm = booted
      })
      return started
    })
    await Promise.race([ended, deadline])
    console.log(`ok ${name}`)
    return true
  } catch (error) {
    console.log(`FAILED ${name}: ${error instanceof Error ? error.message : String(error)}`)
    return false
  } finally {
    clearTimeout(late)
    await stop(vm)
  }
}

async function stop(vm: SmokeVm | null): Promise<void> {
  if (vm === null) return
  await vm.link.powerOff()
  vm.kill()
  await vm.ended
}

async function startAgent(
  argv: readonly string[],
  options: { readonly uid?: number; readonly setup?: Partial<GuestSetup> },
  booted: (vm: SmokeVm) => void,
): Promise<Run> {
  const output: Uint8Array[] = []
  const questions: string[] = []
  const vm = await bootVm(
    { folder, kernel: kernel as string, initrd: join(folder, 'initrd'), image: join(folder, 'image.erofs') },
    {
      onOpen: (question) => decide(question, questions),
      onOutput: (_, data) => void output.push(data),
      onTick: () => undefined,
    },
  )
  booted(vm)
  await vm.link.waitReady()
  await vm.link.arm({ ...setupNow(), ...options.setup })
  await vm.link.start({ argv: ['/bin/agent', ...argv], env: [], cwd: '/', uid: options.uid ?? 1000, gid: 1000, tty: null })
  return { vm, questions, text: () => Buffer.concat(output).toString(), exit: () => vm.link.exit }
}

function decide({ exec, path }: OpenQuestion, questions: string[]): { allow: boolean; cacheable: boolean } {
  const name = Buffer.from(path).toString()
  questions.push(`${exec ? 'execute' : 'read'} ${name}`)
  return { allow: !name.includes('deny'), cacheable: true }
}

function setupNow(): GuestSetup {
  const now = Date.now()
  const entropy = crypto.getRandomValues(new Uint8Array(32))
  const scratch = [{ path: '/tmp', size: 1 << 20, mode: 0o1777 }]
  return { entropy, timeS: Math.floor(now / 1000), timeNs: 0, hostname: 'authority', mounts: [], scratch }
}

function mount(number: number, path: string): GuestSetup['mounts'][number] {
  return { number, path, readonly: false, file: false }
}

function expectEqual(found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${String(found)} instead of ${String(expected)}`)
}

function expectHas(text: string, ...parts: readonly string[]): void {
  for (const part of parts) if (!text.includes(part)) throw new Error(`no «${part}» in:\n${text}`)
}

async function expectFault(ending: Promise<unknown>, stage: string): Promise<void> {
  const error = await ending.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Error) || !('stage' in error) || error.stage !== stage) throw new Error(`no fault «${stage}»: ${String(error)}`)
}
