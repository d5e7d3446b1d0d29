import { formatHost, normalizeHost, unmapped } from '../../patterns/index.ts'
import type { Question } from '../../vocabulary/index.ts'
import type { SyntheticAddresses } from './synthetic.ts'

/** A place on the network, canonical in form: what policy is asked about. */
export type Target =
  | { readonly kind: 'name'; readonly name: string; readonly port: number }
  | { readonly kind: 'address'; readonly address: string; readonly port: number }
  /** Not a host in any spelling: no rule matches it, so it is denied and recorded like any other. */
  | { readonly kind: 'nowhere'; readonly text: string; readonly port: number }

/** Any spelling of a host to its one meaning; a synthetic address stands for the name it was handed out for. */
export function targetOf(host: string, port: number, synthetic: SyntheticAddresses): Target {
  const parsed = normalizeHost(host)
  if (parsed.kind === 'error') return { kind: 'nowhere', text: host, port }
  if (parsed.kind === 'name') return { kind: 'name', name: parsed.name, port }
  const address = formatHost(unmapped(parsed.address))
  const name = synthetic.nameOf(address)
  return name === undefined ? { kind: 'address', address, port } : { kind: 'name', name, port }
}

/** `dns:NAME:PORT` or `ip:ADDRESS:PORT`. */
export function objectOf(target: Target): string {
  switch (target.kind) {
    case 'name':
      return `dns:${target.name}:${target.port}`
    case 'address':
      return `ip:${target.address}:${target.port}`
    case 'nowhere':
      return `dns:${target.text}:${target.port}`
  }
}

export function connectQuestion(target: Target): Question {
  return { action: 'net.connect', object: objectOf(target) }
}

export function addressQuestion(address: string, port: number): Question {
  return { action: 'net.connect', object: `ip:${address}:${port}` }
}
