import { AuthorityError } from '@authority/protocol'
import type { PreparedEffect } from '../contract.ts'
import { DNS_TYPE, type DnsQuery, type DnsRecord, dnsAnswer, encodeDnsName, parseDnsQuery } from './dns-packet.ts'
import { DNS_TTL_S } from './limits.ts'
import { targetOf } from './object.ts'
import type { SyntheticAddresses } from './synthetic.ts'

/**
 * One packet of any resolver in the guest. A name some rule could allow has one synthetic A record and nothing else (no AAAA, no HTTPS or SVCB with keys or
 * other targets), so every resolver comes to that address; any other name is denied, which the guest answers with NXDOMAIN. No query leaves.
 * Throws E_CONFLICT or E_UNSUPPORTED for what is no question, E_NOT_FOUND for addresses that stand for no name.
 */
export function prepareQuery(packet: Uint8Array, synthetic: SyntheticAddresses): PreparedEffect {
  const query = parseDnsQuery(packet)
  const asked = query.name ?? '(no host name)'
  const name = query.type === DNS_TYPE.PTR ? nameBehind(asked, synthetic) : hostOf(asked, synthetic)
  // Programs ask for the names of addresses out of habit: there is nobody to ask, and nothing to allow.
  if (name === undefined) throw new AuthorityError('E_NOT_FOUND', `${asked} has no name here`)
  const question = { action: 'net.dns', object: name } as const
  return {
    requested: [question],
    requestedText: asked,
    resolve: () => ({ questions: [question], object: name }),
    worstCase: () => ({}),
    execute: () => ({ result: [dnsAnswer(query, recordsOf(query, name, synthetic), DNS_TTL_S)] }),
    release: () => undefined,
  }
}

function hostOf(asked: string, synthetic: SyntheticAddresses): string {
  const target = targetOf(asked, 0, synthetic)
  return target.kind === 'name' ? target.name : asked
}

function recordsOf(query: DnsQuery, name: string, synthetic: SyntheticAddresses): readonly DnsRecord[] {
  if (query.type === DNS_TYPE.PTR) return [{ type: DNS_TYPE.PTR, data: encodeDnsName(name) }]
  if (query.type !== DNS_TYPE.A && query.type !== DNS_TYPE.ANY) return []
  const address = synthetic.addressOf(name)
  if (address === undefined) throw new AuthorityError('E_RATE_LIMIT', 'no synthetic addresses are left in this run')
  return [{ type: DNS_TYPE.A, data: Uint8Array.from(address.split('.').map(Number)) }]
}

/** The name a synthetic address stands for, asked backwards (`5.0.18.198.in-addr.arpa`). */
function nameBehind(asked: string, synthetic: SyntheticAddresses): string | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/i.exec(asked)
  return parts === null ? undefined : synthetic.nameOf(parts.slice(1).reverse().join('.'))
}
