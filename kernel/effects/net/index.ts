import type { WireValue } from '@authority/protocol'
import { AuthorityError } from '@authority/protocol'
import type { BytesOperation, EffectClass, EffectSession, PreparedEffect } from '../contract.ts'
import { type Dial, dialTcp } from './dial.ts'
import { prepareQuery } from './dns-query.ts'
import { executeConnect } from './execute-connect.ts'
import { executeFetch, type FetchDependencies } from './execute-fetch.ts'
import { describe, parseFetch, targetOfUrl, withRealHost } from './fetch-request.ts'
import { assertRealHttpClient, builtInRoots } from './http-client.ts'
import { netClose, prepareAccept, prepareListen } from './listen.ts'
import { withNameBudget } from './name-budget.ts'
import { connectQuestion, objectOf, targetOf } from './object.ts'
import { OpenConnections } from './open-connections.ts'
import { type IsOwnAddress, isOwnAddress } from './own-address.ts'
import { PublishedPorts } from './published.ts'
import { claimBody, netBody } from './request-body.ts'
import { SyntheticAddresses } from './synthetic.ts'
import type { Resolver } from './vet.ts'
import { connectionWorstCase } from './worst-case.ts'

export type { Dial } from './dial.ts'
export { builtInRoots } from './http-client.ts'
export { listenObject, type PublishedPort, PublishedPorts } from './published.ts'
export { createResolver, type DnsServer, type ResolverChoice, resolverTexts } from './resolve/index.ts'
export { SyntheticAddresses } from './synthetic.ts'
export type { Resolver } from './vet.ts'

export interface NetDependencies {
  readonly resolve: Resolver
  /** NAME → address the operator mapped. */
  readonly hosts: ReadonlyMap<string, string>
  /** Ports of this machine that lead into the run; those of `-p` already listened on. Left out: none yet. */
  readonly published?: PublishedPorts
  /** Left out: TCP. */
  readonly dial?: Dial
  /** Left out: what the routes of this machine say. */
  readonly isOwnAddress?: IsOwnAddress
  /** Certificate authorities, PEM. Left out: those the runtime was built with, whatever the environment says. */
  readonly roots?: readonly string[]
}

/** net.dns, net.query, net.connect, net.listen, net.accept and net.fetch. Throws when the HTTP client cannot pin addresses. */
export function netEffects(deps: NetDependencies): readonly EffectClass[] {
  assertRealHttpClient()
  const synthetic = new SyntheticAddresses()
  const published = deps.published ?? new PublishedPorts([])
  const connections = new OpenConnections()
  const all: FetchDependencies = {
    resolve: withNameBudget(deps.resolve),
    hosts: deps.hosts,
    isOwnAddress: deps.isOwnAddress ?? isOwnAddress,
    synthetic,
    dial: connections.counted(deps.dial ?? dialTcp),
    roots: deps.roots ?? builtInRoots,
  }
  return [
    { operation: 'net.dns', prepare: (args) => prepareDns(String(args[0]), synthetic) },
    { operation: 'net.query', prepare: (args) => prepareQuery(args[0] as Uint8Array, synthetic) },
    { operation: 'net.connect', prepare: (args, session) => prepareConnect(String(args[0]), Number(args[1]), session, all) },
    { operation: 'net.listen', prepare: (args, session) => prepareListen(published, Number(args[0]), session) },
    { operation: 'net.accept', prepare: (args, session) => prepareAccept(published, connections, Number(args[0]), session) },
    { operation: 'net.fetch', prepare: (args, session) => prepareFetch(args, session, all) },
  ]
}

export const netBytes: readonly BytesOperation[] = [netClose, netBody]

/** Answers from the table alone: a denied name causes no query, and an allowed one is resolved when it is dialled. */
function prepareDns(host: string, synthetic: SyntheticAddresses): PreparedEffect {
  const target = targetOf(host, 0, synthetic)
  const name = target.kind === 'name' ? target.name : host
  const question = { action: 'net.dns', object: name } as const
  return {
    requested: [question],
    requestedText: host,
    resolve: () => ({ questions: [question], object: name }),
    worstCase: () => ({}),
    execute: () => {
      const address = synthetic.addressOf(name)
      if (address === undefined) throw new AuthorityError('E_RATE_LIMIT', 'no synthetic addresses are left in this run')
      return { result: [[address]] }
    },
    release: () => undefined,
  }
}

function prepareConnect(host: string, port: number, session: EffectSession, deps: FetchDependencies): PreparedEffect {
  const target = targetOf(host, port, deps.synthetic)
  const question = connectQuestion(target)
  return {
    requested: [question],
    // What a program dialled is an address that stands for a name it asked for: it is told the name.
    requestedText: target.kind === 'name' ? `${target.name}:${port}` : `${host}:${port}`,
    resolve: () => ({ questions: [question], object: objectOf(target) }),
    worstCase: connectionWorstCase,
    execute: (permit) => executeConnect(target, session, permit, deps),
    release: () => undefined,
  }
}

function prepareFetch(args: readonly WireValue[], session: EffectSession, deps: FetchDependencies): PreparedEffect {
  const request = withRealHost(
    parseFetch(args, (number) => claimBody(session, number)),
    deps.synthetic,
  )
  const question = connectQuestion(targetOfUrl(request.url, deps.synthetic))
  const text = describe(request.method, request.url)
  let began = false
  return {
    requested: [question],
    requestedText: text,
    resolve: () => ({ questions: [question], object: text }),
    worstCase: connectionWorstCase,
    execute: (permit) => {
      began = true
      return executeFetch(request, session, permit, deps)
    },
    // Nobody takes the body of a request that was refused: the agent must not write on.
    release: () => {
      if (!began) request.streamed?.body.refuse(new AuthorityError('E_CANCELLED', 'the request was not sent'))
    },
  }
}
