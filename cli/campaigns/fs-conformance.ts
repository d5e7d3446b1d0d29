/** Conformance suites of others, as the agent's uid, on a host mount in a VM and on a plain folder. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildBinary, differentialFolder } from '../acceptance/programs-guest/differential-run.ts'
import { freshHome, removeFolder } from '../acceptance/vm-support.ts'
import { findProgram, runProgram } from '../process/run-program.ts'

export const about = 'pjdfstest and fsx (crates, built by cargo) on a mount in a VM: [FSX-SEEDS] [FSX-OPERATIONS] [FIRST-SEED]'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const SUITES = join(ROOT, '.cache/conformance')
const FIXTURES = join(ROOT, 'fixtures/fs-conformance')
/** Exact versions: the list of what fails belongs to one. */
const CRATES = { pjdfstest: '0.2.2', fsx: '0.3.2' } as const
const AGENT_UID = '1000'
const BUILD_DEADLINE_MS = 1_200_000
const RUN_DEADLINE_MS = 900_000
/** What a case runs. */
const OF_THE_HOST = ['sleep', 'sh', 'which']

/** Cases of pjdfstest that fail on a mount, by the reason; fixtures/fs-conformance/README.md. */
interface Excluded {
  readonly reason: string
  readonly cases: readonly string[]
}

export async function campaign([
  seeds = '4',
  operations = '3000',
  first = String(Date.now() % 1_000_000),
]: readonly string[]): Promise<number> {
  await buildBinary()
  for (const [name, version] of Object.entries(CRATES)) await buildCrate(name, version)
  const folder = differentialFolder()
  try {
    prepare(folder)
    const broken = [...(await pjdfstest(folder)), ...(await fsx(folder, Number(first), Number(seeds), Number(operations)))]
    for (const sentence of broken) console.log(sentence)
    return broken.length
  } finally {
    removeFolder(folder)
  }
}

async function buildCrate(name: string, version: string): Promise<void> {
  const cargo = findProgram('cargo')
  if (cargo === null)
    throw new Error('no cargo: `node .ci/setup.mjs --for conformance` installs Debian’s; the suites need Rust 1.85 (Debian 13)')
  // Unoptimised enough to be built within a minute; how fast a suite is does not matter.
  const env = {
    ...process.env,
    CARGO_PROFILE_RELEASE_LTO: 'off',
    CARGO_PROFILE_RELEASE_OPT_LEVEL: '1',
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
  }
  const line = [cargo, 'install', name, '--version', version, '--locked', '--quiet', '--root', SUITES]
  const built = await runProgram(line, { env: env as Record<string, string>, deadlineMs: BUILD_DEADLINE_MS })
  if (built.code !== 0) throw new Error(`${name} ${version} does not build: ${built.stderr}`)
}

function prepare(folder: string): void {
  for (const name of ['bin', 'conf']) mkdirSync(join(folder, name))
  for (const name of Object.keys(CRATES)) copyFileSync(join(SUITES, 'bin', name), join(folder, name))
  for (const name of OF_THE_HOST) copyFileSync(realpathSync(findProgram(name) ?? `/usr/bin/${name}`), join(folder, 'bin', name))
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ MapDirs: { bin: '/usr/bin' } }))
  copyFileSync(join(FIXTURES, 'fsx.toml'), join(folder, 'conf/fsx.toml'))
}

/** On the plain folder everything passes; on the mount exactly what is listed fails, so that a case which is mended has to leave the list. */
async function pjdfstest(folder: string): Promise<string[]> {
  const excluded = JSON.parse(readFileSync(join(FIXTURES, 'pjdfstest.json'), 'utf8')) as readonly Excluded[]
  const listed = excluded.flatMap(({ cases }) => cases)
  writeFileSync(join(folder, 'conf/none.toml'), settings([]))
  writeFileSync(join(folder, 'conf/listed.toml'), settings(listed))
  const plain = await plainly(folder, 'pjdfstest', ['-c', join(folder, 'conf/none.toml'), '-p'])
  const mount = await mounted(folder, 'pjdfstest', (work) => ['-c', '/conf/listed.toml', '-p', work])
  console.log(`pjdfstest ${CRATES.pjdfstest}: plain folder ${summary(plain)}; mount ${summary(mount)}`)
  const outcome = (out: string, words: string): string[] =>
    [...out.matchAll(new RegExp(`^(\\S+) +${words}$`, 'gm'))].map(([, name = '']) => name)
  const asListed = outcome(mount, 'failed as expected')
  return [
    ...outcome(plain, 'FAILED').map((name) => `pjdfstest ${name} fails on a plain folder`),
    ...outcome(mount, 'FAILED').map((name) => `pjdfstest ${name} fails on the mount and is not listed`),
    ...outcome(mount, 'PASSED UNEXPECTEDLY').map((name) => `pjdfstest ${name} passes on the mount: take it off the list`),
    ...listed.filter((name) => !asListed.includes(name)).map((name) => `pjdfstest ${name} is listed and did not fail`),
    ...(/ total$/m.test(mount) ? [] : [`pjdfstest did not end on the mount: ${mount.slice(-500)}`]),
  ]
}

/** Posix_fallocate and times are told to the suite; what needs root or another operating system it leaves out by itself. */
function settings(expected: readonly string[]): string {
  return `[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.05
allow_remount = false
expected_failures = ${JSON.stringify(expected)}
[dummy_auth]
entries = [["nobody", "nogroup"], ["nobody", "nogroup"]]
`
}

const summary = (out: string): string => /(\d+ failed.*total)/.exec(out)?.[1] ?? 'did not end'

/** Random reads, writes, mappings, truncations of one file, compared with what the suite remembers; it ends at the first difference. */
async function fsx(folder: string, first: number, seeds: number, operations: number): Promise<string[]> {
  const broken: string[] = []
  for (let seed = first; seed < first + seeds; seed++) {
    const line = ['-f', '/conf/fsx.toml', '-S', String(seed), '-N', String(operations)]
    const out = await mounted(folder, 'fsx', (work) => [...line, '-P', work, join(work, `fsx-${seed}`)])
    const fine = /All operations completed/.test(out)
    console.log(`fsx ${CRATES.fsx}, seed ${seed}: ${operations} operations ${fine ? 'passed' : 'failed'}`)
    if (!fine) broken.push(`fsx seed ${seed}: ${out.slice(-1000)}`)
  }
  return broken
}

async function plainly(folder: string, program: string, line: readonly string[]): Promise<string> {
  const dropped = process.getuid?.() === 0 ? ['setpriv', `--reuid=${AGENT_UID}`, `--regid=${AGENT_UID}`, '--clear-groups'] : []
  const done = await runProgram([...dropped, join(folder, program), ...line, workFolder(folder, `${program}-plain`)], {
    deadlineMs: RUN_DEADLINE_MS,
  })
  return text(done)
}

/** Under its own path: a symbolic link to an absolute path then leads to the same place in the guest and on the host, and neither path is longer than the other. */
async function mounted(folder: string, program: string, line: (work: string) => readonly string[]): Promise<string> {
  const work = workFolder(folder, `${program}-mount-${Bun.randomUUIDv7()}`)
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: freshHome(folder).path }
  const fs = { read: [work, `${work}/**`, '/conf/**', '/usr/bin/*'], write: [`${work}/**`] }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify({ version: '1.0', profiles: ['tier2-glibc'], fs }))
  const mounts = ['-v', `${work}:${work}`, '-v', `${join(folder, 'conf')}:/conf:ro`]
  const run = [BINARY, 'run', join(folder, program), '-c', join(folder, 'config.json'), '--policy', join(folder, 'policy.json'), ...mounts]
  return text(await runProgram([...run, '--accel', 'tcg', '--', ...line(work)], { env, deadlineMs: RUN_DEADLINE_MS }))
}

function workFolder(folder: string, name: string): string {
  const path = join(folder, name)
  mkdirSync(path)
  chmodSync(path, 0o777)
  return path
}

/** Without colours: the suites paint their output. */
function text({ stdout, stderr }: { readonly stdout: Uint8Array; readonly stderr: string }): string {
  return Bun.stripANSI(`${Buffer.from(stdout)}${stderr}`)
}
