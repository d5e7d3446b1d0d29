import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { ensureInstallation } from '@authority/kernel/audit'
import { asImageRequest, denyAllPolicy, loadPolicy } from '@authority/kernel/policy'
import type { Charges } from '@authority/kernel/vocabulary'
import type { OnProgress } from '../debian/index.ts'
import {
  type BuildTools,
  buildCached,
  type Extra,
  ImageStore,
  type Manifest,
  type OpenImage,
  readImagePolicy,
  readManifest,
  withMountPoints,
} from '../image/index.ts'
import { ensureInitrd, ensureKernel, locateQemu, pickAccel } from '../machine/index.ts'
import { CliError } from './errors.ts'
import { assertExpected } from './expectations.ts'
import type { Home } from './home.ts'
import { assertSideBySide, checkMounts } from './mount-check.ts'
import { loadPolicyFiles, type PolicyFiles } from './policy-files.ts'
import type { RunSpec } from './run-spec.ts'
import { scratchFolders } from './scratch.ts'

/** A run as asked for: command line and config.json merged, paths absolute. */
export interface RunRequest {
  /** IMAGE, or a program when it has a `/` or an extension. */
  readonly target: string
  readonly args: readonly string[]
  /** Arguments from config.json, before `args`. */
  readonly configArgs: readonly string[]
  /** `K=V` */
  readonly env: readonly string[]
  /** What config.json copies into the image of a program. */
  readonly extras: readonly Extra[]
  readonly mounts: RunSpec['mounts']
  readonly policyPath: string | null
  readonly configPath: string | null
  /** Policy id the operator accepts from an image built elsewhere. */
  readonly acceptPolicy: string | null
  readonly budgets: Charges
  readonly hosts: RunSpec['hosts']
  readonly resolver: RunSpec['resolver']
  readonly authorities: RunSpec['authorities']
  readonly published: NonNullable<RunSpec['published']>
  readonly timeoutMs: number | null
  readonly memoryMib: number | null
  readonly cpus: number
  readonly accel: 'auto' | 'kvm' | 'hvf' | 'tcg'
  readonly require: 'kvm' | 'hvf' | null
  readonly kernelFile: string | null
  readonly timing: boolean
  readonly console: boolean
  readonly tty: boolean
}

export interface PrepareTools {
  readonly home: Home
  readonly build: string
  readonly images: BuildTools
  readonly initBinary: () => Uint8Array
  readonly cellBinary: () => Uint8Array
  readonly onProgress: OnProgress
  /** A sentence for the operator that no error is. */
  readonly onNotice: (text: string) => void
}

const DEFAULT_MEMORY_MIB = 256
/** Bun maps far more than it uses; below this it thrashes under emulation. */
const BUN_MEMORY_MIB = 512

/** Finds and makes everything a run needs; nothing is started. Throws CliError and AuthorityError with the documented exit code. */
export async function prepareRun(request: RunRequest, tools: PrepareTools): Promise<RunSpec> {
  const { home } = tools
  assertSideBySide(request.mounts)
  const points = checkMounts(request.mounts, home.path)
  // Before anything is built: a policy that does not load is the commonest mistake.
  const operators = request.policyPath === null ? null : operatorPolicy(request.policyPath, request)
  const image = await openTarget(request, tools)
  let opened: OpenImage = image.open
  try {
    const manifest = readManifest(opened.reader)
    const policy = operators ?? imagePolicy(request, image.builtHere, opened, tools)
    const given = { image: Object.keys(manifest.env), env: request.env.map((pair) => pair.slice(0, pair.indexOf('='))) }
    assertExpected(
      policy.loaded,
      { given, mounts: request.mounts },
      'what a run may be given is the policy’s `env` and `mounts`: `authority policy show FILE`',
    )
    const scratch = scratchFolders(
      // Not what is only asked about: in scratch nobody would be asked.
      policy.loaded.expanded.write.map((rule) => rule.text),
      request.mounts.map((mount) => mount.guest),
      opened.reader,
    )
    opened = await withMountPoints(opened, { folders: [...points.folders, ...scratch], files: points.files }, home.cache)
    const launcher = installCell(home, tools.cellBinary())
    const machine = await chooseMachine(request, manifest, launcher, tools)
    return {
      format: 1,
      run: randomBytes(16).toString('hex'),
      home: home.path,
      build: tools.build,
      program: request.target,
      image: { path: opened.path, sha256: opened.sha256, name: manifest.name, profiles: manifest.profiles },
      machine,
      agent: {
        argv: [...manifest.argv, ...request.configArgs, ...request.args],
        env: mergedEnvironment(manifest.env, request.env),
        cwd: manifest.cwd,
        tty: request.tty,
      },
      given,
      mounts: request.mounts,
      scratch: scratch.map((guest) => ({ guest, bytes: (machine.memoryMib * (1 << 20)) / 4 })),
      policy: {
        base64: Buffer.from(policy.bytes).toString('base64'),
        source: policy.source,
        kind: policy.kind,
        includes: policy.includes,
      },
      guarded: [request.policyPath, request.configPath, ...policy.paths].filter((path): path is string => path !== null),
      hosts: request.hosts,
      resolver: request.resolver,
      authorities: request.authorities,
      published: request.published,
      budgets: request.budgets,
      timeoutMs: request.timeoutMs,
      timing: request.timing,
    }
  } finally {
    opened.close()
  }
}

/** Anything with a `/` or an extension is a program; a bare name is an image, also where a file of that name lies beside. */
export function isProgramPath(target: string): boolean {
  return target.includes('/') || extname(target) !== ''
}

async function openTarget(request: RunRequest, tools: PrepareTools): Promise<{ open: OpenImage; builtHere: boolean }> {
  const { target } = request
  if (isProgramPath(target)) {
    if (!existsSync(target)) throw new CliError('not_found', `there is no program ${target}`, 'check the path')
    return { open: await buildCached({ program: resolve(target), extras: request.extras }, tools.images), builtHere: true }
  }
  const store = new ImageStore(tools.home.images)
  const meta = store.get(target)
  if (meta === undefined) {
    const hint = existsSync(target)
      ? `there is a file of that name: did you mean \`authority run ./${target}\`?`
      : '`authority images ls` lists the images; `authority build PATH` makes one'
    throw new CliError('not_found', `there is no image \`${target}\``, hint)
  }
  const { id } = await ensureInstallation(tools.home.path)
  return { open: store.open(target), builtHere: meta.builtBy === id }
}

interface ChosenPolicy extends PolicyFiles {
  readonly source: string
  readonly kind: RunSpec['policy']['kind']
}

/** Which policy: `--policy` (which config's Policy became when it was not given) ▸ the image's own, where it may hold ▸ deny everything outside. */
function operatorPolicy(path: string, request: RunRequest): ChosenPolicy {
  const files = loadPolicyFiles(readPolicyFile(path), path, path, Object.fromEntries(request.hosts))
  return { ...files, source: path, kind: 'operator' }
}

function imagePolicy(request: RunRequest, builtHere: boolean, image: OpenImage, tools: PrepareTools): ChosenPolicy {
  const hosts = Object.fromEntries(request.hosts)
  const own = readImagePolicy(image.reader)
  if (own !== undefined) {
    const { policy: loaded, refused } = asImageRequest(loadPolicy(own, 'image', { hosts, format: 'json' }))
    if (builtHere || request.acceptPolicy === loaded.id) {
      for (const sentence of refused) tools.onNotice(`of the image's own policy, ${sentence}`)
      return { loaded, bytes: own, includes: [], paths: [], source: 'image', kind: 'image' }
    }
    tools.onNotice(
      `the image asks for policy ${loaded.id}, which this installation did not build and nobody accepted: it is not used. See it: authority inspect ${request.target} --policy; accept it: --accept-policy ${loaded.id}`,
    )
  }
  if (request.acceptPolicy !== null && own === undefined)
    throw new CliError('policy', '--accept-policy was given, but the image asks for none', 'leave it out, or give --policy FILE')
  return { loaded: denyAllPolicy(), bytes: new Uint8Array(), includes: [], paths: [], source: 'built-in', kind: 'none' }
}

function readPolicyFile(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new CliError(
      'policy',
      `the policy ${path} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? cause}`,
      'check the path; `authority policy check FILE` checks the content',
      { cause },
    )
  }
}

async function chooseMachine(request: RunRequest, manifest: Manifest, launcher: string, tools: PrepareTools): Promise<RunSpec['machine']> {
  const { cache } = tools.home
  const { arch } = manifest
  const qemu = await locateQemu(arch, cache)
  const kernel = await ensureKernel({
    cacheFolder: cache,
    arch,
    onProgress: tools.onProgress,
    ...(request.kernelFile === null ? {} : { kernelFile: request.kernelFile }),
  })
  const choice = await pickAccel({
    wanted: request.accel,
    ...(request.require === null ? {} : { required: request.require }),
    arch,
    qemu,
    kernel,
    launcher,
    cacheFolder: cache,
  })
  if (choice.why !== null) tools.onNotice(`the machine is emulated: ${choice.why}`)
  return {
    arch,
    accel: choice.accel,
    isolation: choice.isolation,
    memoryMib: request.memoryMib ?? (manifest.kind === 'typescript' ? BUN_MEMORY_MIB : DEFAULT_MEMORY_MIB),
    cpus: request.cpus,
    kernel: { path: kernel.path, sha256: kernel.manifest.kernelSha256, release: kernel.manifest.version },
    initrd: ensureInitrd(kernel, tools.initBinary()),
    cell: launcher,
    console: request.console,
  }
}

function mergedEnvironment(image: Readonly<Record<string, string>>, given: readonly string[]): string[] {
  const merged = new Map(Object.entries(image))
  for (const pair of given) {
    const at = pair.indexOf('=')
    merged.set(pair.slice(0, at), pair.slice(at + 1))
  }
  return [...merged].map(([key, value]) => `${key}=${value}`)
}

/** Child processes cannot open what the executable embeds: the launcher is written out once, named by its digest, and checked each time. */
export function installCell(home: Home, bytes: Uint8Array): string {
  const digest = new Bun.CryptoHasher('sha256').update(bytes).digest('hex')
  const folder = join(home.cache, 'bin')
  const path = join(folder, `authority-cell-${digest.slice(0, 32)}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!existsSync(path) || !readFileSync(path).equals(bytes)) {
    writeFileSync(`${path}.${process.pid}`, bytes, { mode: 0o700 })
    renameSync(`${path}.${process.pid}`, path)
  }
  return path
}
