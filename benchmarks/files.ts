/**
 * A host folder through the gate against the same folder through QEMU's own 9p server: same guest kernel, same program, same host disk, and the same
 * durability (a write is with the host when it returns, fsync when the disk has it). 9p decides nothing, records nothing and trusts its guest.
 */
import { chmodSync, copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Machines, type Measured, prepareMachines } from './machines.ts'
import { scratchFolder } from './server-process.ts'
import { atMost, median, type Row } from './statistics.ts'

const GUEST = join(import.meta.dirname, 'files-guest')
/** Debian's full kernel, because its cloud kernel has no 9p: both sides boot the same one. */
const KERNEL = { metapackage: 'linux-image-amd64', moreModules: ['9pnet_virtio', '9p'] }

const SMALL_FILES = 1_000
const SMALL_BYTES = 4_096
const BIG_BYTES = 256 << 20
/** Machines of each kind, in turn, so that what disturbs one disturbs the other. */
const ROUNDS = 2

const MAX_HELLO_RATIO = 1.2
const REPOSITORY_FILES = 10_000
/** git status against tmpfs, ours to choose: a round trip of 0.5 ms for each of 10,000 files, one after the other, would be about 20. */
const MAX_GIT_RATIO = 3

/** What is measured; `rate`: MB/s, more is better; the others are µs for one file. */
const METRICS = [
  { name: 'read', what: 'sequential read of 256 MiB', rate: true },
  { name: 'write', what: 'sequential write of 256 MiB with fsync', rate: true },
  { name: 'open-cold', what: 'open+read+close of 4 KiB, each file for the first time', rate: false },
  { name: 'open-warm', what: 'open+read+close of 4 KiB, 1,000 files again', rate: false },
  { name: 'open-same', what: 'open+read+close of 4 KiB, one file 1,000 times', rate: false },
  { name: 'create', what: 'create+write+close of 1 KiB', rate: false },
  { name: 'look-cold', what: 'readdir and lstat of 1,000 files, first time', rate: false },
  { name: 'look-warm', what: 'readdir and lstat of 1,000 files, again', rate: false },
] as const

export async function filesSuite(): Promise<readonly Row[]> {
  const scratch = scratchFolder()
  try {
    chmodSync(scratch.path, 0o755)
    const machines = await prepareMachines(scratch.path, { sources: GUEST, cache: 'bench-home', kernel: KERNEL })
    return [...againstNine(scratch.path, machines), ...programs(scratch.path, machines)]
  } finally {
    scratch.remove()
  }
}

function againstNine(folder: string, machines: Machines): readonly Row[] {
  const policy = {
    version: '1.0',
    profiles: ['tier1-musl'],
    fs: { read: ['/work', '/work/**', '/tmp/**'], write: ['/work/**', '/tmp/**'] },
  }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy))
  const all: Measured[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const [work, none, loose] = ['work', 'none', 'loose'].map((name) => makeTree(join(folder, `${name}-${round}`)))
    all.push(
      machines.ours('./measure', ['--policy', 'policy.json', '-v', `${work}:/work`, '--', '/work', '/tmp']),
      machines.bare('9p', [...nine('none', none), ...nine('loose', loose)]),
    )
  }
  const of = (key: string): number => median(all.flatMap((measured) => measured.get(key) ?? []))
  return METRICS.map(({ name, what, rate }) => {
    const [ours, none, loose, floor] = [`/work ${name}`, `/9p-none ${name}`, `/9p-loose ${name}`, `/tmp ${name}`].map(of) as [
      number,
      number,
      number,
      number,
    ]
    const unit = rate ? 'MB/s' : 'µs'
    const tmpfs = Number.isNaN(floor) ? '' : `, tmpfs ${floor.toFixed(0)}`
    return atMost(
      `${what}, against 9p`,
      `${ours.toFixed(0)} ${unit} against ${none.toFixed(0)} (cache=loose, which is not coherent with the host: ${loose.toFixed(0)}${tmpfs})`,
      rate ? none / ours : ours / none,
      1,
    )
  })
}

function nine(tag: string, path: string | undefined): readonly string[] {
  return ['-fsdev', `local,id=${tag},path=${path},security_model=none`, '-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`]
}

function makeTree(folder: string): string {
  for (const name of ['', 'small', 'made']) {
    mkdirSync(join(folder, name))
    chmodSync(join(folder, name), 0o777)
  }
  for (let i = 0; i < SMALL_FILES; i++) writeFileSync(join(folder, 'small', String(i)), Buffer.alloc(SMALL_BYTES, i))
  writeFileSync(join(folder, 'big'), Buffer.alloc(BIG_BYTES, 1))
  return folder
}

/** Programs of the image: with every first opening asked of the gate, against the same image on its bare disk; and git on a mount, against git in scratch. */
function programs(folder: string, machines: Machines): readonly Row[] {
  const image = buildPrograms(folder, machines)
  const [ours, bare]: [Measured[], Measured[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(machines.ours('files', ['--policy', 'programs-policy.json']))
    bare.push(machines.bare('image', ['-drive', `file=${image},format=raw,if=none,id=d,readonly=on`, '-device', 'virtio-blk-pci,drive=d']))
  }
  const rows = [...(ours[0]?.keys() ?? [])].map((name) => {
    const [one, other] = [ours, bare].map((all) => median(all.flatMap((measured) => measured.get(name) ?? []))) as [number, number]
    return atMost(
      `${name} start of a hello, against the bare disk`,
      `${one.toFixed(0)} ms against ${other.toFixed(0)} ms`,
      one / other,
      MAX_HELLO_RATIO,
    )
  })
  return [...rows, ...gitStatus(folder, machines)]
}

/** As mounts are by default, files that did not change are not asked for again, only their folders; a mount that is kept in mind for a minute asks for listings alone. */
function gitStatus(folder: string, machines: Machines): readonly Row[] {
  makeRepository(join(folder, 'git'))
  return [':cache=60s', ''].map((kept) => {
    const found = machines.ours('files', ['--policy', 'programs-policy.json', '-v', `git:/work${kept}`, '--', '/work'])
    const of = (name: string): number => found.get(name) ?? Number.NaN
    const [one, other] = [of('git-mount warm'), of('git-scratch warm')]
    const measured = `${one} ms against ${other} ms, first time ${of('git-mount first')} against ${of('git-scratch first')}; ${of('git-mount waiting')} % of it waits for FUSE`
    const what = `git status of ${REPOSITORY_FILES} files, warm, mount ${kept === '' ? 'as by default' : `with ${kept.slice(1)}`}, against tmpfs`
    return atMost(what, measured, one / other, MAX_GIT_RATIO)
  })
}

function buildPrograms(folder: string, machines: Machines): string {
  mkdirSync(join(folder, 'programs'))
  copyFileSync(join(GUEST, 'programs.py'), join(folder, 'programs/main.py'))
  copyTools(join(folder, 'tools'), ['node', 'git'])
  writeFileSync(join(folder, 'programs.json'), JSON.stringify({ MapDirs: { tools: '/opt/tools' } }))
  const fs = { read: ['/opt/tools/**', '/tmp/**', '/work', '/work/**'], write: ['/tmp/**', '/work/**'] }
  writeFileSync(join(folder, 'programs-policy.json'), JSON.stringify({ version: '1.0', profiles: ['python'], fs }))
  return machines.build('./programs', 'programs.json')
}

/** Packed, so that git looks at the files and not at its own objects; times and sizes alone tell a change, because inode numbers and owners differ in scratch. */
function makeRepository(folder: string): void {
  const repository = join(folder, 'repository')
  for (let i = 0; i < REPOSITORY_FILES; i++) {
    const path = join(repository, `d${i % 10}`, `e${i % 100}`)
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, `f${i}`), `${i}\n`)
  }
  const git = (...line: string[]) => {
    const done = Bun.spawnSync(['git', '-C', repository, '-c', 'user.name=a', '-c', 'user.email=a@b', ...line])
    if (!done.success) throw new Error(`git ${line[0]}: ${done.stderr}`)
  }
  git('init', '-q')
  git('config', 'core.checkStat', 'minimal')
  git('config', 'gc.auto', '0')
  git('add', '.')
  git('commit', '-qm', 'all')
  git('repack', '-adq')
  Bun.spawnSync(['tar', '-cf', join(folder, 'repository.tar'), '-C', folder, 'repository'])
  Bun.spawnSync(['chmod', '-R', 'a+rwX', folder])
}

/** Programs that are here and their libraries, but for those of the image's own C library. */
function copyTools(folder: string, names: readonly string[]): void {
  mkdirSync(join(folder, 'lib'), { recursive: true })
  for (const name of names) {
    const path = realpathSync(Bun.which(name) ?? `/usr/bin/${name}`)
    copyFileSync(path, join(folder, name))
    const { stdout } = Bun.spawnSync(['ldd', path])
    for (const [, library = ''] of stdout.toString().matchAll(/=> (\S+)/g))
      if (!/^(libc|ld-linux.*|libpthread|libdl|libm)\.so/.test(basename(library)))
        copyFileSync(realpathSync(library), join(folder, 'lib', basename(library)))
  }
}
