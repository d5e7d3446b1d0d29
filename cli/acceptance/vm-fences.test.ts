/** What an ordinary program meets in the guest, asked in one VM by one static program (vm-guest/probe.c), and host mounts compared with a plain folder. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { SWAPPED, startSwapping } from './hostile-guest/swapper.ts'
import { authority, type Ended, prepareVm, probed, runFolders, startRun, type Vm } from './vm-guest/binary.ts'
import { leftovers } from './vm-support.ts'

let vm: Vm
let fences: Ended
let seen: Readonly<Record<string, string>>
beforeAll(async () => {
  vm = await prepareVm()
  fences = await startRun(vm, ['fences']).done
  seen = probed(fences.stdout)
})
afterAll(() => vm.clean())

const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'vm-guest/fences.json'), 'utf8')) as Record<string, string>

/** What the agent may leave in the folder it may write, and what was there. */
const OUT = ['.git', '.profile', '.vscode', '.vscode/notes', 'fake', 'fake/hooks', 'fake/hooks/pre-commit', 'inside', 'mapped', 'mine']

describe('an agent that tries what it must not', () => {
  test('rights, devices, system calls, image files, scratch and ways out of a mount are exactly the golden ones', () => {
    expect(fences.code).toBe(0)
    const { 'read /proc/partitions': _blocks, 'read /proc/net/dev': _net, 'read /proc/kallsyms': _symbols, ...stable } = seen
    expect(stable).toEqual(golden)
  })

  test('one disk, one network interface that leads nowhere, no kernel addresses', () => {
    const disks = seen['read /proc/partitions']?.split('\n').slice(2).filter(Boolean)
    expect(disks?.map((line) => line.trim().split(/\s+/).at(-1))).toEqual(['vda'])
    const interfaces = seen['read /proc/net/dev']?.split('\n').slice(2).filter(Boolean)
    expect(interfaces?.map((line) => line.trim().split(':')[0])).toEqual(['lo'])
    const addresses = seen['read /proc/kallsyms']
      ?.split('\n')
      .slice(0, -1)
      .map((line) => line.split(' ')[0])
    expect(new Set(addresses)).toEqual(new Set(['0000000000000000']))
  })

  test('nothing outside was read or changed, and each denial names its fix', () => {
    expect(fences.stdout.includes('CANARY')).toBe(false)
    expect(readFileSync(vm.at('outside/secret.txt'), 'utf8')).toBe('CANARY outside')
    expect(readFileSync(vm.at('data/private/secret.txt'), 'utf8')).toBe('CANARY private')
    expect(readFileSync(vm.at('data/read.txt'), 'utf8')).toBe('inside')
    expect(readdirSync(vm.at('outside'))).toEqual(['secret.txt'])
    expect(readdirSync(vm.at('data')).sort()).toEqual([
      'link-absolute',
      'link-denied',
      'link-file',
      'link-folder',
      'link-proc',
      'private',
      'read.txt',
      'sub',
    ])
    expect(readdirSync(vm.at('out'), { recursive: true }).sort()).toEqual(OUT)
    expect(readFileSync(vm.at('out/.profile'), 'utf8')).toBe('of the host')
    expect(fences.stderr).toMatch(/denied fs\.write \/data\/read\.txt · allow it with \{/)
    expect(fences.facts).toMatchObject({ ended_by: 'agent', exit_code: 0 })
  })

  test('its log verifies, and nothing is left of the run', async () => {
    const [folder = ''] = runFolders(vm)
    const verified = await authority(vm, 'audit', 'verify', folder.split('/').at(-1) ?? '')
    expect(verified).toMatchObject({ code: 0 })
    expect(leftovers(folder)).toEqual([])
  })

  test('audit show --denied names path, count, rule, fix and the program, also of plain system calls', async () => {
    const [folder = ''] = runFolders(vm)
    const { out, err } = await authority(vm, 'audit', 'show', folder.split('/').at(-1) ?? '', '--denied')
    const denials = out.split(/^(?=\d+ {2})/m)
    const of = (what: RegExp): string => denials.find((denial) => what.test(denial)) ?? out + err
    expect(of(/fs\.open \/data\/read\.txt/)).toMatch(
      /^\d+ {2}fs\.open \/data\/read\.txt\n {4}E_POLICY_DENY: .*\n {4}rule: none, so denied\n {4}fix: \{.*"write":\["\/data\/read\.txt"\].*\n {4}the guest claims: \/app\/\S+ pid \d+\n/,
    )
    expect(of(/fs\.stat \/data\/private,/)).toMatch(
      /^\d+ {2}fs\.stat \/data\/private, 5 times\n(.*\n)* {4}the guest claims: \/app\/\S+ pid \d+\n/,
    )
    expect(of(/image\.open \/etc\/denied\.txt/)).toMatch(/the guest claims: \/app\/\S+ pid \d+\n/)
  })
})

describe('files on a mount', () => {
  /** A name with a control character could not be shown to an operator: refused by the gate. */
  const DIFFERENT = ['name with a newline', 'ls .']

  test.concurrent('every operation gives what it gives in a plain folder, and leaves the same files', async () => {
    mkdirSync(vm.at('out/here'))
    const guest = await startRun(vm, ['files', '/out/here']).done
    const host = await runProgram([vm.probe, 'files', vm.at('plain')])
    const [inGuest, onHost] = [probed(guest.stdout), probed(Buffer.from(host.stdout))]
    for (const name of DIFFERENT) expect(inGuest[name]).not.toBe(onHost[name])
    expect(inGuest['name with a newline'], guest.stderr).toBe('EINVAL')
    const rest = (all: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(all).filter(([name]) => !DIFFERENT.includes(name)))
    expect(rest(inGuest)).toEqual(rest(onHost))
    expect(Object.keys(inGuest).length).toBeGreaterThan(50)
    const names = (folder: string) => readdirSync(vm.at(folder)).filter((name) => !name.includes('\n'))
    expect(names('out/here').sort()).toEqual(names('plain').sort())
    expect(readFileSync(vm.at('out/here/big')).equals(readFileSync(vm.at('plain/big')))).toBe(true)
  })

  test.concurrent('one file mounted, one read-only, and locks a program of the host holds', async () => {
    writeFileSync(vm.at('settings.conf'), 'from the host')
    writeFileSync(vm.at('fixed.conf'), 'fixed')
    mkdirSync(vm.at('out/shared'))
    writeFileSync(vm.at('out/shared/held'), 'xxxxabc')
    const locking = `import fcntl, sys
f = open(sys.argv[1], 'r+')
def attempt(at):
    try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at); return 'free'
    except OSError: return 'locked'
if sys.argv[2] == 'hold':
    fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX, 8, 0); print('held', flush=True); sys.stdin.read()
else: print(attempt(100), attempt(101), flush=True)
`
    const holder = spawn('python3', ['-c', locking, vm.at('out/shared/held'), 'hold'], { stdio: ['pipe', 'pipe', 'inherit'] })
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const flags = ['-v', `${vm.at('settings.conf')}:/etc/settings.conf`, '-v', `${vm.at('fixed.conf')}:/fixed.conf:ro`]
    let whileLocked = ''
    const take = async (stdout: Readable): Promise<Buffer> => {
      const chunks: Buffer[] = []
      for await (const chunk of stdout) {
        chunks.push(chunk as Buffer)
        if (!Buffer.concat(chunks).includes('"locked"') || whileLocked !== '') continue
        const looked = await runProgram(['python3', '-c', locking, vm.at('out/shared/held'), 'look'])
        whileLocked = Buffer.from(looked.stdout).toString().trim()
        started.child.stdin?.end()
      }
      return Buffer.concat(chunks)
    }
    const started = startRun(vm, ['mounted', '/etc/settings.conf', '/fixed.conf', '/out/shared'], {
      flags,
      take,
      input: null,
      policy: vm.at('files.json'),
    })
    const { stdout, stderr } = await started.done
    holder.stdin.end()
    expect(stderr).toMatch(/mounts .*settings\.conf→\/etc\/settings\.conf, .*fixed\.conf→\/fixed\.conf \(read-only\)/)
    expect(probed(stdout), stderr).toEqual({
      file: 'from the host',
      'stat of the file': 'type 100000 mode 644 size 13 links 1',
      write: '14',
      fsync: 'ok',
      append: '1',
      truncate: 'ok',
      unlink: 'EROFS',
      rename: 'EROFS',
      'open below': 'ENOTDIR',
      'rename over': 'EXDEV',
      'a guarded name a literal rule allows': 'ok',
      'a guarded name no literal rule allows': 'EACCES',
      getxattr: 'EOPNOTSUPP',
      listxattr: 'EOPNOTSUPP',
      'read-only file': 'ok',
      'write to the read-only file': 'EROFS',
      'truncate the read-only file': 'EROFS',
      'flock of what the host holds': 'EAGAIN',
      'lock of what the host holds': 'EAGAIN',
      'who holds it': 'exclusive 0',
      'lock beside it': 'ok',
      hole: 'ok',
      holed: '7 0000 abc',
      locked: 'yes',
    })
    expect(whileLocked).toBe('locked free')
    expect(readFileSync(vm.at('settings.conf'), 'utf8')).toBe('from the guest')
    expect(readFileSync(vm.at('fixed.conf'), 'utf8')).toBe('fixed')
  })

  test.concurrent('a name that the host swaps for a link out, again and again, while the guest opens it: the file outside is never read', async () => {
    const stop = startSwapping(vm.at('data'), vm.at('outside'))
    const raced = probed((await startRun(vm, ['race', '/data/swap-%d/secret.txt', '800', String(SWAPPED)]).done.finally(stop)).stdout)
    expect(raced).toEqual({ race: 'outside 0', 'race rounds': '800', 'race seen inside': 'yes' })
    expect(readFileSync(vm.at('outside/secret.txt'), 'utf8')).toBe('CANARY outside')
  })
})
