import { lookup } from 'node:dns/promises'
import { AuthorityError } from '@authority/protocol'

/** The host's own resolver, with its files and search domains. It cannot be stopped: whoever waits for it gives up by itself. Rejects with E_UPSTREAM. */
export async function askSystem(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true, verbatim: true })).map((answer) => answer.address)
  } catch (error) {
    throw new AuthorityError('E_UPSTREAM', `${name} does not resolve`, { errno: 'EHOSTUNREACH', cause: error })
  }
}
