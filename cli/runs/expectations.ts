import { checkExpectations, type LoadedPolicy } from '@authority/kernel/policy'
import { AuthorityError } from '@authority/protocol'
import { CliError } from './errors.ts'
import type { RunSpec } from './run-spec.ts'

export interface Surroundings {
  readonly given: NonNullable<RunSpec['given']>
  readonly mounts: RunSpec['mounts']
}

/** Before a run: what the policy expects of its environment and mounts holds. Throws CliError `policy`. */
export function assertExpected(policy: LoadedPolicy, surroundings: Surroundings, hint: string): void {
  const missed = missing(policy, surroundings)
  if (missed !== null) throw new CliError('policy', missed, hint)
}

/** Before another policy takes over: what a run was started with cannot change. Throws AuthorityError E_CONFLICT. */
export function assertStillExpected(policy: LoadedPolicy, surroundings: Surroundings): void {
  const missed = missing(policy, surroundings)
  if (missed !== null)
    throw new AuthorityError('E_CONFLICT', `the running run does not meet this policy, which changes nothing: ${missed}`, {
      hint: 'start a run that does, or change `env` and `mounts` of the policy',
    })
}

function missing(policy: LoadedPolicy, { given, mounts }: Surroundings): string | null {
  const missed = checkExpectations(policy, { ...given, mounts })
  return missed.length === 0 ? null : missed.join('\n')
}
