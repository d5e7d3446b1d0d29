/** The least policy that allows exactly one question: what a denial shows, and what `policy suggest` merges. */
import {
  type Address,
  classify,
  formatHost,
  isCanonicalName,
  isName,
  isNever,
  literalPathPattern,
  mayBeOpened,
  parseEndpoint,
  pathSegments,
} from '../patterns/index.ts'
import type { Question } from '../vocabulary/index.ts'
import { broadHost } from './breadth.ts'
import { POLICY_VERSION } from './schema.ts'

/** JSON text of a whole document that loads, or null when no rule may allow the question. */
export function fixFor(question: Question): string | null {
  const section = sectionFor(question)
  return section === null ? null : JSON.stringify({ version: POLICY_VERSION, ...section })
}

function sectionFor({ action, object }: Question): Record<string, unknown> | null {
  switch (action) {
    case 'fs.look':
    case 'fs.read':
    case 'fs.write':
      return pathSegments(object) === null ? null : { fs: { [action.slice('fs.'.length)]: [literalPathPattern(object)] } }
    case 'net.dns':
      return isCanonicalName(object) && broadHost({ kind: 'name', name: object }, object) === null ? { net: { dns: [object] } } : null
    case 'net.connect': {
      const endpoint = parseEndpoint(object)
      if (endpoint === null) return null
      if (endpoint.kind === 'dns')
        return broadHost({ kind: 'name', name: endpoint.name }, object) === null ? { net: { connect: [object] } } : null
      return mayBeOpened(endpoint.address) ? { net: { connect: [connectRule(endpoint)] } } : null
    }
    case 'net.listen': {
      const endpoint = parseEndpoint(object)
      return endpoint?.kind === 'ip' && mayListen(endpoint.address) ? { net: { listen: [connectRule(endpoint)] } } : null
    }
    case 'tools':
      return isName(object) ? { tools: { allow: [object] } } : null
    case 'infer':
      return isName(object) ? { infer: { models: [object] } } : null
    default:
      return null
  }
}

function connectRule(endpoint: { readonly address: Address; readonly port: number }): string {
  return `ip:${formatHost(endpoint.address)}:${endpoint.port}`
}

/** Whether an address could be one of this machine's; `0.0.0.0` and `::` mean all of them. */
export function mayListen(address: Address): boolean {
  return classify(address) === 'unspecified' || !isNever(classify(address))
}
