import { ARCHES, type Arch } from './elf.ts'
import { ImageError } from './errors.ts'
import { MAX_MANIFEST_BYTES } from './limits.ts'
import type { ProgramKind } from './program.ts'

export const MANIFEST_PATH = '/ak/manifest.json'
export const POLICY_PATH = '/ak/policy.json'
export const MANIFEST_VERSION = 1

/** What an image says about itself. It holds no path, name or time of the machine it was built on. */
export interface Manifest {
  readonly version: number
  readonly name: string
  readonly arch: Arch
  readonly kind: ProgramKind
  /** `argv[0]` is an absolute path in the image. */
  readonly argv: readonly string[]
  /** Whole environment of the agent but for what `run -e` adds. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Built-in policy profiles that grant reading the runtime's own files. */
  readonly profiles: readonly string[]
  /** Layers in order: the digest of what each was made of. */
  readonly layers: readonly { readonly name: string; readonly digest: string }[]
  /** Debian packages with their versions, where there are some. */
  readonly packages: readonly string[]
  /** Version of the program that built it. */
  readonly authority: string
}

export function manifestText(manifest: Manifest): string {
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  if (Buffer.byteLength(text) > MAX_MANIFEST_BYTES)
    throw new ImageError('too-big', 'the image’s manifest would be too large: fewer arguments or environment variables')
  return text
}

/** Strict: an image of another installation is not trusted to be well-formed. Throws ImageError `corrupt`, or `bad-input` for another version. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const bad = (why: string) =>
    new ImageError('corrupt', `the image's ${MANIFEST_PATH} is not valid: ${why}`, { hint: 'build the image again' })
  if (bytes.length > MAX_MANIFEST_BYTES) throw bad('too large')
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw bad('not JSON')
  }
  if (!isRecord(value)) throw bad('not an object')
  if (value.version !== MANIFEST_VERSION)
    throw new ImageError('bad-input', `the image has manifest version ${String(value.version)}; this authority knows ${MANIFEST_VERSION}`, {
      hint: 'use the version that built it, or build it again',
    })
  const { name, arch, kind, argv, env, cwd, profiles, layers, packages, authority } = value
  const known: Record<keyof Manifest, boolean> = {
    version: true,
    name: typeof name === 'string',
    arch: ARCHES.some((each) => each === arch),
    kind: ['static', 'dynamic', 'python', 'typescript'].some((each) => each === kind),
    argv: isTexts(argv) && argv.length > 0 && (argv[0] ?? '').startsWith('/'),
    env: isRecord(env) && Object.entries(env).every(([key, each]) => isText(each) && isText(key) && key !== '' && !key.includes('=')),
    cwd: isText(cwd) && cwd.startsWith('/'),
    profiles: isTexts(profiles),
    layers: Array.isArray(layers) && layers.every((each) => isRecord(each) && isText(each.name) && isText(each.digest)),
    packages: isTexts(packages),
    authority: isText(authority),
  }
  for (const key of Object.keys(value)) if (!Object.hasOwn(known, key)) throw bad(`unknown key ${JSON.stringify(key)}`)
  for (const [key, holds] of Object.entries(known)) if (!holds) throw bad(`key ${key}`)
  return value as unknown as Manifest
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText)
}
