import { AuthorityError } from '@authority/protocol'
import { classify, formatHost, mayBeOpened, parseAddress, unmapped } from '../../patterns/index.ts'
import type { Permit } from '../contract.ts'
import { MAX_ADDRESSES_TRIED } from './limits.ts'
import { addressQuestion, type Target } from './object.ts'
import type { IsOwnAddress } from './own-address.ts'

/** Looks a name up; addresses in any spelling. Rejects with E_UPSTREAM. */
export type Resolver = (name: string, signal: AbortSignal) => Promise<readonly string[]>

export interface VetDependencies {
  readonly resolve: Resolver
  /** `net.hosts` of the policy and `--host`: NAME → address, which the operator vouches for. */
  readonly hosts: ReadonlyMap<string, string>
  readonly isOwnAddress: IsOwnAddress
}

/**
 * The addresses that may be dialled for an already allowed target, in the resolver's order. Only these are ever dialled: nothing is resolved twice,
 * so a name that changes its answer between check and dial gains nothing. A non-global address, and a global one of this machine itself, needs a rule that names it;
 * metadata and link-local have none.
 * Throws the denial, or E_UPSTREAM when the name has no address.
 */
export async function vettedAddresses(
  target: Target,
  permit: Pick<Permit, 'signal' | 'decideAgain'>,
  deps: VetDependencies,
): Promise<readonly string[]> {
  if (target.kind === 'nowhere') throw new AuthorityError('E_NOT_FOUND', `${target.text} is not a host`)
  // An address that was asked for literally was decided literally; those no rule may open are looked at here once more.
  if (target.kind === 'address') return [assertOpenable(target.address)]
  const mapped = deps.hosts.get(target.name)
  if (mapped !== undefined) return [assertOpenable(mapped)]
  const answers = await deps.resolve(target.name, permit.signal)
  const vetted: string[] = []
  let refusal: unknown
  for (const answer of answers.slice(0, MAX_ADDRESSES_TRIED * 4)) {
    const address = parseAddress(answer)
    if (address === null) continue
    const real = unmapped(address)
    const dialled = bare(formatHost(real))
    if (classify(real) !== 'global' || (await isOwn(dialled, deps))) {
      try {
        await permit.decideAgain([addressQuestion(formatHost(real), target.port)], `${target.name}:${target.port}`)
      } catch (error) {
        refusal ??= error
        continue
      }
    }
    vetted.push(dialled)
    if (vetted.length === MAX_ADDRESSES_TRIED) break
  }
  if (vetted.length > 0) return vetted
  throw refusal ?? new AuthorityError('E_UPSTREAM', `${target.name} has no address`, { errno: 'EHOSTUNREACH' })
}

/** Servers of this machine often trust whoever comes from it, and what is bound to its public address is seldom meant for agents. Fails closed. */
function isOwn(address: string, { isOwnAddress }: VetDependencies): Promise<boolean> {
  return isOwnAddress(address).catch((error: unknown) => {
    throw new AuthorityError('E_UPSTREAM', `the route to ${address} is not known`, { errno: 'EHOSTUNREACH', cause: error })
  })
}

/** A literal rule or the operator's mapping opens any address but those no rule may open. */
function assertOpenable(text: string): string {
  const address = parseAddress(bare(text))
  if (address === null || (classify(unmapped(address)) !== 'loopback' && !mayBeOpened(address)))
    throw new AuthorityError('E_POLICY_DENY', `the address ${text} may not be reached by any rule`)
  return bare(formatHost(unmapped(address)))
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}
