import { resolve } from 'node:path'
import { loadPolicyFiles, type PolicyFiles } from '../runs/policy-files.ts'
import { hostPairs, readNamed } from './shared.ts'

/** The policy of a file with what it includes, named in messages as the user named it. Throws CliError and PolicyLoadError. */
export function policyOfFile(path: string, hosts: readonly string[], cwd: string): PolicyFiles {
  const whole = resolve(cwd, path)
  return loadPolicyFiles(readNamed(whole, 'the policy', 'policy'), whole, path, Object.fromEntries(hostPairs(hosts)))
}
