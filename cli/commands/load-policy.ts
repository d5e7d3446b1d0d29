import { resolve } from 'node:path'
import type { LoadedPolicy } from '@authority/kernel/policy'
import { loadPolicyFiles } from '../runs/policy-files.ts'
import { hostPairs, readNamed } from './shared.ts'

/** The policy of a file, named in messages as the user named it. Throws CliError and PolicyLoadError. */
export function policyOfFile(path: string, hosts: readonly string[], cwd: string): LoadedPolicy {
  const file = resolve(cwd, path)
  return loadPolicyFiles(readNamed(file, 'the policy', 'policy'), file, path, Object.fromEntries(hostPairs(hosts))).loaded
}
