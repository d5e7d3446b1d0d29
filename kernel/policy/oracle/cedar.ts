/** Only for tests and benchmarks: a policy translated to Cedar, whose own engine then decides. Covers the forms the generators make, nothing else. */
import { createRequire } from 'node:module'
import type { Question } from '../../vocabulary/index.ts'

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs')
const cedar = createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs') as Cedar

export interface OracleDocument {
  readonly fs: OracleSection<{ readonly look: readonly string[]; readonly read: readonly string[]; readonly write: readonly string[] }>
  readonly net: {
    readonly dns: readonly string[]
    readonly connect: readonly string[]
    readonly deny: { readonly dns: readonly string[]; readonly connect: readonly string[] }
    readonly ask: { readonly connect: readonly string[] }
  }
  readonly tools: { readonly allow: readonly string[]; readonly deny: readonly string[]; readonly ask: readonly string[] }
}
type OracleSection<Lists> = Lists & { readonly deny: Lists; readonly ask: Lists }

const quote = (text: string): string => JSON.stringify(text)
const like = (pattern: string): string => `context.object like ${quote(pattern)}`

/** `/a/b`, `/a/**`, `/a/*`, `/a/*.md`, `/a/x*`: one star segment at the end, or the whole tree. */
function path(glob: string): string {
  if (!glob.includes('*')) return `context.object == ${quote(glob)}`
  if (glob.endsWith('/**')) return `(context.object == ${quote(glob.slice(0, -3))} || ${like(`${glob.slice(0, -3)}/*`)})`
  const folder = glob.slice(0, glob.lastIndexOf('/'))
  return `(${like(glob)} && !(${like(`${folder}/*/*`)}))`
}

/** The folders that lead to something the glob could match, and what the glob matches itself. */
function looked(glob: string): string {
  const star = glob.indexOf('*')
  const base = star === -1 ? glob : glob.slice(0, glob.lastIndexOf('/', star))
  const above = ['/', ...(star === -1 ? [] : [base])]
  for (let end = base.lastIndexOf('/'); end > 0; end = base.lastIndexOf('/', end - 1)) above.push(base.slice(0, end))
  return `(${[path(glob), ...above.map((folder) => `context.object == ${quote(folder)}`)].join(' || ')})`
}

/** Rules for looking, and rules for reading or changing as far as those are not denied. */
function looking({ look, read, write }: OracleDocument['fs'] | OracleDocument['fs']['ask'], denied: Denied): string[] {
  const unless = (rules: readonly string[], deny: string): string[] => rules.map((rule) => `(${looked(rule)} && !(${deny}))`)
  return [...look.map(looked), ...unless(read, denied.read), ...unless(write, denied.write)]
}

interface Denied {
  readonly read: string
  readonly write: string
}
const any = (conditions: readonly string[]): string =>
  conditions.length === 0 ? 'false' : conditions.map((each) => `(${each})`).join(' || ')

function host(pattern: string): string {
  return pattern.startsWith('*.') ? `context.name like ${quote(pattern)}` : `context.name == ${quote(pattern)}`
}

function connect(rule: string): string {
  const [, kind = '', target = '', ports = ''] = /^(dns|ip):(.*):([^:]*)$/.exec(rule) ?? []
  const [low = '', high = low] = ports === '*' ? ['1', '65535'] : ports.split('-')
  const where = kind === 'dns' ? `context has name && ${host(target)}` : `context has ip && context.ip.isInRange(ip(${quote(target)}))`
  return `(${where} && context.port >= ${low} && context.port <= ${high})`
}

function tool(rule: string): string {
  return rule.endsWith('*') ? like(rule) : `context.object == ${quote(rule)}`
}

function statements(effect: 'permit' | 'forbid', action: string, conditions: readonly string[]): string[] {
  return conditions.map((condition) => `${effect}(principal, action == Action::"${action}", resource) when { ${condition} };`)
}

/** What connects or resolves a name, as conditions for resolving it. */
const resolving = (rules: readonly string[]): string[] =>
  rules.flatMap((rule) => (rule.startsWith('dns:') ? [host(rule.slice(4, rule.lastIndexOf(':')))] : []))

/** Two policy sets: what is allowed without asking, and what is allowed once a person agreed. */
export function translate({ fs, net, tools }: OracleDocument): { readonly allow: string; readonly ask: string } {
  const hidden = fs.deny.look.map(path)
  const denied: Denied = { read: any(fs.deny.read.map(path)), write: any(fs.deny.write.map(path)) }
  const denies = [
    ...statements('forbid', 'fs.look', [...hidden, `(${denied.read}) && (${denied.write})`]),
    ...statements('forbid', 'fs.read', [...hidden, ...fs.deny.read.map(path)]),
    ...statements('forbid', 'fs.write', [...hidden, ...fs.deny.write.map(path)]),
    ...statements('forbid', 'net.dns', net.deny.dns.map(host)),
    ...statements('forbid', 'net.connect', [
      ...net.deny.connect.map(connect),
      ...net.deny.dns.map((name) => `context has name && ${host(name)}`),
    ]),
    ...statements('forbid', 'tools', tools.deny.map(tool)),
  ]
  const asks = (effect: 'permit' | 'forbid'): string[] => [
    ...statements(effect, 'fs.look', fs.ask.look.map(path)),
    ...statements(effect, 'fs.read', fs.ask.read.map(path)),
    ...statements(effect, 'fs.write', fs.ask.write.map(path)),
    ...statements(effect, 'net.connect', net.ask.connect.map(connect)),
    ...statements(effect, 'tools', tools.ask.map(tool)),
  ]
  const allows = [
    // What may be read or changed after approval may be looked at without, and so may the folders on the way to what is asked about.
    ...statements('permit', 'fs.look', [...looking(fs, denied), ...looking(fs.ask, denied)]),
    ...statements('permit', 'fs.read', fs.read.map(path)),
    ...statements('permit', 'fs.write', fs.write.map(path)),
    ...statements('permit', 'net.dns', [...net.dns.map(host), ...resolving(net.connect), ...resolving(net.ask.connect)]),
    ...statements('permit', 'net.connect', net.connect.map(connect)),
    ...statements('permit', 'tools', tools.allow.map(tool)),
  ]
  return { allow: [...allows, ...asks('forbid'), ...denies].join('\n'), ask: [...asks('permit'), ...denies].join('\n') }
}

/** Parses once under a name, so that a decision pays for nothing but the decision. Throws when Cedar does not take it. */
export function preparse(name: string, policies: string): void {
  const answer = cedar.preparsePolicySet(name, { staticPolicies: policies })
  if (answer.type !== 'success') throw new Error(answer.errors.map(({ message }) => message).join('; '))
}

export type CedarCall = Parameters<Cedar['statefulIsAuthorized']>[0]

export function callOf(name: string, { action, object }: Question): CedarCall {
  const [, kind, target = '', port] = /^(dns|ip):(.*):([0-9]+)$/.exec(object) ?? []
  const network = kind === 'dns' ? { name: target } : kind === 'ip' ? { ip: { __extn: { fn: 'ip', arg: target } } } : {}
  const resolved = action === 'net.dns' ? { name: object } : network
  return {
    principal: { type: 'Agent', id: 'a' },
    action: { type: 'Action', id: action },
    resource: { type: 'Object', id: 'o' },
    context: { object, ...resolved, ...(port === undefined ? {} : { port: Number(port) }) },
    preparsedPolicySetId: name,
    entities: [],
  }
}

/** Throws when an evaluation failed: then the translation is at fault. */
export function cedarAllows(call: CedarCall): boolean {
  const answer = cedar.statefulIsAuthorized(call)
  if (answer.type !== 'success') throw new Error(answer.errors.map(({ message }) => message).join('; '))
  const [error] = answer.response.diagnostics.errors
  if (error !== undefined) throw new Error(error.error.message)
  return answer.response.decision === 'allow'
}
