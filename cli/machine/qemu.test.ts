import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PORTS } from '@authority/protocol'
import { describe, expect, test } from 'vitest'
import { kernelCommandLine, PORT_NAMES, type QemuSpec, qemuArguments } from './qemu.ts'

const GOLDEN = join(import.meta.dirname, '../../fixtures/machine')

const SPEC: QemuSpec = {
  arch: 'x86_64',
  accel: 'tcg',
  memoryMiB: 256,
  cpus: 1,
  console: false,
  kernel: '/boot/kernel',
  initrd: '/boot/initrd',
  imageFd: 3,
  ports: { effects: 4, control: 5, net: 6 },
  files: [],
  firmware: ['/usr/share/qemu'],
  sandbox: true,
}

/** Every machine type we start. A change here changes what a hostile guest can reach: it is reviewed as such. */
const CASES: Readonly<Record<string, QemuSpec>> = {
  'x86_64-tcg': SPEC,
  'x86_64-mounts': {
    ...SPEC,
    files: [
      { fd: 8, tag: 'mount1' },
      { fd: 9, tag: 'mount2' },
    ],
  },
  'x86_64-kvm': { ...SPEC, accel: 'kvm', cpus: 4, memoryMiB: 1024 },
  'x86_64-hvf': { ...SPEC, accel: 'hvf', sandbox: false },
  'x86_64-console': { ...SPEC, console: true },
  'x86_64-probe': { ...SPEC, accel: 'kvm', console: true, initrd: null, imageFd: null, ports: null },
  'aarch64-tcg': { ...SPEC, arch: 'aarch64' },
  'aarch64-mounts': { ...SPEC, arch: 'aarch64', files: [{ fd: 8, tag: 'mount1' }] },
  'aarch64-kvm': { ...SPEC, arch: 'aarch64', accel: 'kvm' },
}

describe('arguments of QEMU', () => {
  for (const [name, spec] of Object.entries(CASES)) {
    test(`${name} is exactly its golden list`, () => {
      expect(qemuArguments(spec)).toEqual(JSON.parse(readFileSync(join(GOLDEN, `${name}.json`), 'utf8')))
    })
  }

  test('no machine has a network card, a monitor, a display or a writable disk', () => {
    for (const spec of Object.values(CASES)) {
      const argv = qemuArguments(spec)
      for (const word of argv)
        expect(word).not.toMatch(/virtio-net|e1000|-netdev|^-nic|-monitor|-qmp|vhost-(?!user-fs)|vsock|vnc|usb-|virtfs|9p|fsdev/)
      expect(argv).toContain('-nodefaults')
      expect(argv).toContain('-no-user-config')
      expect(argv[argv.indexOf('-display') + 1]).toBe('none')
      for (const disk of argv.filter((_, index) => argv[index - 1] === '-blockdev')) expect(disk).toMatch(/driver=raw,.*read-only=on/)
    }
  })

  test('each port of the protocol is there once', () => {
    const argv = qemuArguments(SPEC).join(' ')
    for (const name of PORT_NAMES) expect(argv.split(`name=${PORTS[name]}`).length).toBe(2)
  })

  test('a panic ends QEMU instead of hanging', () => {
    expect(kernelCommandLine(SPEC)).toContain('panic=-1')
    expect(qemuArguments(SPEC)).toContain('-no-reboot')
  })

  test.each([
    ['memory below', { memoryMiB: 1 }],
    ['memory not whole', { memoryMiB: 100.5 }],
    ['no CPU', { cpus: 0 }],
    ['too many CPUs', { cpus: 1000 }],
    ['a comma in a path', { kernel: '/boot/k,append=x' }],
    ['a relative path', { initrd: 'initrd' }],
  ])('%s is refused', (_, change) => {
    expect(() => qemuArguments({ ...SPEC, ...change })).toThrow(/memory|CPUs|path/)
  })
})
