import { resolve } from 'node:path'
import { type LoadedPolicy, loadPolicy } from '@authority/kernel/policy'
import { hostPairs, readNamed } from './shared.ts'

/** The policy of a file, named in messages as the user named it. Throws CliError and PolicyLoadError. */
export function policyOfFile(path: string, hosts: readonly string[], cwd: string): LoadedPolicy {
  return loadPolicy(readNamed(resolve(cwd, path), 'the policy', 'policy'), path, { hosts: Object.fromEntries(hostPairs(hosts)) })
}
