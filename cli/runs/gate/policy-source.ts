/** The policy of a run as the gate loads it, at its start and when it is reloaded. */
import { asImageRequest, denyAllPolicy, type LoadedPolicy, loadPolicy, type Policy } from '@authority/kernel/policy'
import { AuthorityError } from '@authority/protocol'
import { type IncludedFile, includeFrom } from '../policy-files.ts'
import type { NewRepositories } from './new-repositories.ts'

export interface PolicySource {
  readonly bytes: Uint8Array
  readonly source: string
  readonly kind: 'operator' | 'image' | 'none'
  readonly includes?: readonly IncludedFile[]
}

/** A policy with what it includes, as the operator's command read it. */
export interface PolicyFileSet {
  readonly source: string
  readonly bytes: Uint8Array
  readonly includes: readonly IncludedFile[]
}

/** Names that `--host` leads to an address. */
type HostNames = readonly (readonly [name: string, address: string])[]

/** Loaded again here from the bytes that were hashed: the gate trusts no decision made outside it. */
export function policyOf(policy: PolicySource, hosts: HostNames, repositories: NewRepositories): Policy {
  if (policy.kind === 'none') return denyAllPolicy()
  if (policy.kind === 'operator') return operatorPolicy(policy, hosts, repositories)
  const mapped = mappedTo(hosts, repositories)
  return asImageRequest(loadPolicy(policy.bytes, 'image', { ...mapped, format: 'json' })).policy
}

export function operatorPolicy(files: Omit<PolicySource, 'kind'>, hosts: HostNames, repositories: NewRepositories): LoadedPolicy {
  return loadPolicy(files.bytes, files.source, { ...mappedTo(hosts, repositories), include: includeFrom(files.includes ?? []) })
}

function mappedTo(hosts: HostNames, repositories: NewRepositories) {
  return { hosts: Object.fromEntries(hosts), repositoryIsNew: (folder: string) => repositories.has(folder) }
}

/** An agent must not write the policy it is under; only the files that were there when the run began are protected in its mounts. */
export function assertNotMounted(source: string, mounts: readonly { readonly host: string; readonly readonly: boolean }[]): void {
  const mount = mounts.find(({ host, readonly }) => !readonly && (source === host || source.startsWith(`${host}/`)))
  if (mount !== undefined)
    throw new AuthorityError('E_CONFLICT', `${source} lies in ${mount.host}, which the run can write`, {
      hint: 'reload a policy from another folder',
    })
}
