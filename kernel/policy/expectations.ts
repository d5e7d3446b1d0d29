/** What a policy expects of the environment and the mounts of a run. Checked before it starts; a policy itself passes and mounts nothing. */
import { PatternError, pathSegments } from '../patterns/index.ts'
import type { PolicyDocument } from './document.ts'

export interface RunSurroundings {
  /** Names set by the image. */
  readonly image?: readonly string[]
  /** Names the operator passes (`-e`). */
  readonly env: readonly string[]
  readonly mounts: readonly { readonly guest: string; readonly readonly: boolean }[]
}

export interface MountRule {
  readonly guest: string
  readonly access: 'ro' | 'rw' | null
}

/** One sentence for each expectation that does not hold, with what to do; empty when the run may start. Pure. */
export function checkExpectations(policy: { readonly document: Pick<PolicyDocument, 'env' | 'mounts'> }, run: RunSurroundings): string[] {
  return [...checkEnv(policy.document.env, run), ...checkMounts(policy.document.mounts, run.mounts)]
}

function checkEnv({ allow, require }: PolicyDocument['env'], run: RunSurroundings): string[] {
  const set = new Set([...(run.image ?? []), ...run.env])
  const missing = require
    .filter((name) => !set.has(name))
    .map((name) => `the policy requires the environment variable ${name} (env.require): pass it with -e ${name}=VALUE`)
  if (allow === null) return missing
  const extra = [...new Set(run.env)]
    .filter((name) => !require.includes(name) && !allow.some((rule) => matchesName(rule, name)))
    .map((name) => `the policy does not allow passing the environment variable ${name}: leave it out, or add it to env.allow`)
  return [...missing, ...extra]
}

function checkMounts({ allow, require }: PolicyDocument['mounts'], mounts: RunSurroundings['mounts']): string[] {
  const required = require.map(parseMountRule)
  const missing = required.flatMap((rule) => {
    const mount = mounts.find(({ guest }) => guest === rule.guest)
    if (mount === undefined)
      return [`the policy requires a mount at ${rule.guest} (mounts.require): -v HOST:${rule.guest}${rule.access === 'ro' ? ':ro' : ''}`]
    if (rule.access === 'ro' && !mount.readonly)
      return [`the policy requires the mount at ${rule.guest} to be read-only: add :ro to its -v`]
    if (rule.access === 'rw' && mount.readonly)
      return [`the policy requires the mount at ${rule.guest} to be writable: remove :ro from its -v`]
    return []
  })
  if (allow === null) return missing
  const allowed = allow.map(parseMountRule)
  const extra = mounts.flatMap((mount) => {
    if (required.some(({ guest }) => guest === mount.guest)) return []
    const rule = allowed.find(({ guest }) => guest === mount.guest)
    if (rule === undefined) return [`the policy does not allow a mount at ${mount.guest}: leave it out, or add it to mounts.allow`]
    return rule.access === 'ro' && !mount.readonly
      ? [`the policy allows the mount at ${mount.guest} only read-only: add :ro to its -v`]
      : []
  })
  return [...missing, ...extra]
}

/** `/guest`, `/guest:ro`, `/guest:rw`. Throws PatternError. */
export function parseMountRule(text: string): MountRule {
  const [guest = '', access, ...rest] = text.split(':')
  const segments = pathSegments(guest)
  if (segments === null || segments.length === 0)
    throw new PatternError(`\`${text}\` is not a guest path`, 'write `/work`, or `/work:ro` for a read-only mount')
  if (rest.length > 0 || (access !== undefined && access !== 'ro' && access !== 'rw'))
    throw new PatternError(
      `\`${text}\` ends in neither \`:ro\` nor \`:rw\``,
      `write \`${guest}:ro\`; the host side is the operator's: \`-v HOST:${guest}\``,
    )
  return { guest, access: access ?? null }
}

/** Throws PatternError. */
export function checkEnvRule(text: string, literal: boolean): void {
  const name = text.endsWith('*') ? text.slice(0, -1) : text
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || (literal && name !== text))
    throw new PatternError(
      `\`${text}\` is not the name of an environment variable`,
      text.includes('=')
        ? `write \`${text.slice(0, text.indexOf('='))}\`: a policy holds no values`
        : 'write `NAME`, or `PREFIX_*` under `env.allow`',
    )
}

function matchesName(rule: string, name: string): boolean {
  return rule.endsWith('*') ? name.startsWith(rule.slice(0, -1)) : name === rule
}
