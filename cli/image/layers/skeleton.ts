import type { Arch } from '../elf.ts'
import { dirEntry, type Entry, fileEntry, symlinkEntry } from '../entries.ts'

/** The agent's account in the guest, as kernel/guest starts it (AGENT_UID). */
const PASSWD = `root:x:0:0:root:/root:/sbin/nologin
agent:x:1000:1000:agent:/home/agent:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
`
const GROUP = `root:x:0:
agent:x:1000:
nogroup:x:65534:
`
/** The machine's own name, as Debian writes it: programs look it up at their start. */
const HOSTS = `127.0.0.1 localhost
127.0.1.1 authority
`
/** Names are asked of the gate, which listens on loopback in the guest. */
const RESOLV_CONF = `nameserver 127.0.0.1
options timeout:5 attempts:1
`
const NSSWITCH = `passwd: files
group: files
hosts: files dns
networks: files
services: files
protocols: files
`

/** Where init mounts something, and where `-v` usually points: a read-only image cannot grow a mount point later. */
const MOUNT_POINTS = ['/proc', '/dev', '/sys', '/run', '/workspace', '/mnt', '/data'] as const

const LOADER_DIR: Readonly<Record<Arch, string | undefined>> = { x86_64: '/usr/lib64', aarch64: undefined }

/** What every image has: mount points, accounts, name service settings, and Debian's merged /usr. */
export function* skeletonEntries(arch: Arch): Generator<Entry> {
  yield dirEntry('/')
  for (const path of MOUNT_POINTS) yield dirEntry(path)
  yield dirEntry('/tmp', 0o1777)
  yield dirEntry('/var/tmp', 0o1777)
  yield dirEntry('/root', 0o700)
  yield { ...dirEntry('/home/agent'), uid: 1000, gid: 1000 }
  yield dirEntry('/app')
  yield dirEntry('/ak')
  yield fileEntry('/etc/passwd', PASSWD)
  yield fileEntry('/etc/group', GROUP)
  yield fileEntry('/etc/hosts', HOSTS)
  yield fileEntry('/etc/nsswitch.conf', NSSWITCH)
  yield fileEntry('/etc/resolv.conf', RESOLV_CONF)
  yield fileEntry('/etc/hostname', 'authority\n')
  for (const name of ['bin', 'sbin', 'lib']) {
    yield dirEntry(`/usr/${name}`)
    yield symlinkEntry(`/${name}`, `usr/${name}`)
  }
  if (LOADER_DIR[arch] !== undefined) {
    yield dirEntry(LOADER_DIR[arch])
    yield symlinkEntry('/lib64', 'usr/lib64')
  }
}
