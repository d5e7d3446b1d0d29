import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cellArguments } from '../machine/cell-arguments.ts'
import { findProgram } from '../process/run-program.ts'
import { type Prepared, prepare } from './machine-support.ts'

/** A probe started in QEMU's own cell, in place of QEMU, says what a program there can do. */

let vm: Prepared
let probe = ''
let secret = ''
beforeAll(async () => {
  vm = await prepare()
  probe = await vm.compile('cell-probe.c')
  secret = join(vm.folder, 'secret')
  writeFileSync(secret, 'secret', { mode: 0o644 })
})
afterAll(() => vm.clean())

interface Report {
  readonly code: number
  readonly stderr: string
  /** Values by name; a name said several times has several. */
  readonly said: ReadonlyMap<string, readonly string[]>
}

async function inCell(as: readonly string[], change: Partial<Parameters<typeof cellArguments>[0]> = {}): Promise<Report> {
  const argv = cellArguments({
    launcher: vm.launcher,
    parent: process.pid,
    connect: [],
    keep: [],
    files: [{ source: probe, target: '/probe' }],
    devices: ['null'],
    mounts: null,
    program: ['/probe', '/etc/passwd', secret, '/proc/self/environ', '/old/etc/passwd', '/dev/kvm'],
    ...change,
  })
  // Descriptors 3 and 4 are open in the launcher and not named: they must not arrive.
  const child = Bun.spawn([...as, ...argv], { stdio: ['ignore', 'pipe', 'pipe', Bun.file(secret), Bun.file(secret)], env: { SECRET: 'x' } })
  const [out, stderr, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  const said = new Map<string, string[]>()
  for (const line of out.trim().split('\n')) {
    const [name = '', ...rest] = line.split(' ')
    said.set(name, [...(said.get(name) ?? []), rest.join(' ')])
  }
  return { code, stderr, said }
}

const root = process.getuid?.() === 0
const setpriv = findProgram('setpriv') ?? 'setpriv'
/** The cell has to hold for root and for a plain user; as root both are tried. */
const WHO: readonly (readonly [string, readonly string[]])[] = root
  ? [
      ['root', []],
      ['a plain user', [setpriv, '--reuid=12345', '--regid=12345', '--clear-groups']],
    ]
  : [['a plain user', []]]

describe.each(WHO)('QEMU’s cell, made by %s', (who, as) => {
  let report: Report
  beforeAll(async () => {
    report = await inCell(as)
    if (report.code !== 0) throw new Error(report.stderr)
  })
  const one = (name: string) => report.said.get(name)?.join(',') ?? ''

  test('no file of the host is there beyond the list', () => {
    expect(report.said.get('file')?.toSorted()).toEqual(['/dev/null', '/probe'])
    for (const line of report.said.get('read') ?? []) expect(line).toMatch(/ ENOENT$/)
    expect(one('shell')).toBe('ENOENT')
  })

  test('nothing can be written, made, renamed or removed', () => {
    expect(one('writes')).toBe('0')
    expect(one('writable-mounts')).toBe('0')
    expect([one('mount'), one('remount'), one('chroot')]).toEqual(['EPERM', 'EPERM', 'EPERM'])
    expect([one('core'), one('fsize')]).toEqual(['0', '0'])
  })

  test('no descriptor beyond 0, 1 and 2 arrives', () => {
    expect(report.said.get('fd')).toEqual(['0', '1', '2'])
  })

  test('there is no network', () => {
    expect([one('inet'), one('unix'), one('netlink')]).toEqual(['EPERM', 'EPERM', 'EPERM'])
  })

  test('no other process can be seen or signalled', () => {
    expect([one('pid'), one('ppid'), one('others'), one('killall')]).toEqual(['1', '0', '0', 'ESRCH'])
  })

  test('an unprivileged uid without capabilities, and no way back', () => {
    expect(Number(one('uid'))).toBeGreaterThan(0)
    expect(one('euid')).toBe(one('uid'))
    expect(Number(one('gid'))).toBeGreaterThan(0)
    if (who === 'root') expect(one('groups')).toBe('0')
    expect([one('caps'), one('bounding'), one('no_new_privs'), one('seccomp')]).toEqual(['00 00 00', '0', '1', '2'])
    expect(one('setuid')).toMatch(/^E(PERM|INVAL)$/)
    for (const call of ['unshare', 'clone', 'ptrace', 'bpf', 'io_uring']) expect(one(call)).toBe('EPERM')
  })

  test('the death of whoever started it is its own', () => {
    expect(one('pdeathsig')).toBe('9')
  })
})

describe('the launcher refuses', () => {
  test.each([
    ['a parent that is not its own', { parent: 1 }, /is gone/],
    ['a file that is not there', { files: [{ source: '/no/such/file', target: '/probe' }] }, /No such file/],
    ['a relative path', { files: [{ source: 'probe', target: '/probe' }] }, /absolute/],
    [
      'two files in one place',
      {
        files: [
          { source: '/etc/passwd', target: '/p' },
          { source: '/etc/group', target: '/p' },
        ],
      },
      /File exists/,
    ],
    ['a device with a path', { devices: ['../etc/passwd'] }, /bad device/],
    ['a socket nobody listens on', { connect: [{ fd: 4, path: '/no/such/socket' }] }, /No such file/],
    ['a descriptor of the standard streams', { connect: [{ fd: 1, path: '/x' }] }, /out of range/],
    ['a descriptor named twice', { keep: [3, 3] }, /named twice/],
    ['a program that is not in the cell', { program: ['/bin/sh'] }, /No such file/],
  ])('%s', async (_, change, message) => {
    const report = await inCell([], change)
    expect(report.code).toBe(120)
    expect(report.stderr).toMatch(message)
    expect(report.said.has('uid')).toBe(false)
  })

  test.runIf(root)('to start without the right to make namespaces, with the fix', async () => {
    const bound = [setpriv, '--bounding-set=-sys_admin', '--inh-caps=-all']
    const report = await inCell(bound)
    expect(report.code).toBe(120)
    expect(report.stderr).toMatch(/cannot make the cell's namespaces .*; fix: /)
  })
})
