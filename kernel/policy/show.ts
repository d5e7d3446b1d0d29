/** A policy in full for people and for `--json`: rules with where they come from, what is always denied, budgets. */
import { normalizeHost } from '../patterns/index.ts'
import { ALWAYS_DENY } from './always-deny.ts'
import { askedRules, type ExpandedRule } from './expand.ts'
import { quoted } from './load-error.ts'
import { originOf } from './merge.ts'
import type { LoadedPolicy } from './stage.ts'
import { toolRuleText } from './tool-rule.ts'

export interface PolicyView {
  readonly id: string
  readonly source: string
  readonly sections: readonly {
    readonly permission: string
    readonly allow: readonly ExpandedRule[]
    readonly deny: readonly ExpandedRule[]
    readonly ask: readonly ExpandedRule[]
  }[]
  readonly hosts: readonly { readonly name: string; readonly address: string }[]
  readonly budgets: Readonly<Record<string, number>>
  readonly max_tokens: number | null
  readonly env: { readonly allow: readonly string[] | null; readonly require: readonly string[] }
  readonly mounts: { readonly allow: readonly string[] | null; readonly require: readonly string[] }
  readonly ask_timeout_ms: number
  readonly always_deny: readonly { readonly id: string; readonly why: string; readonly patterns: readonly string[] }[]
}

export function viewPolicy(policy: LoadedPolicy): PolicyView {
  const { expanded, document } = policy
  const asked = askedRules(document)
  const deny = (list: string, rules: readonly string[]): ExpandedRule[] =>
    rules.map((text, index) => ({ text, origin: originOf(document, `${list}/${index}`) }))
  return {
    id: policy.id,
    source: policy.source,
    sections: [
      { permission: 'fs.look', allow: expanded.look, deny: deny('/fs/deny/look', document.fs.deny.look), ask: asked.look },
      { permission: 'fs.read', allow: expanded.read, deny: deny('/fs/deny/read', document.fs.deny.read), ask: asked.read },
      { permission: 'fs.write', allow: expanded.write, deny: deny('/fs/deny/write', document.fs.deny.write), ask: asked.write },
      { permission: 'net.dns', allow: expanded.dns, deny: deny('/net/deny/dns', document.net.deny.dns), ask: [] },
      {
        permission: 'net.connect',
        allow: expanded.connect,
        deny: deny('/net/deny/connect', document.net.deny.connect),
        ask: asked.connect,
      },
      { permission: 'net.listen', allow: expanded.listen, deny: [], ask: [] },
      { permission: 'tools', allow: expanded.tools, deny: deny('/tools/deny', document.tools.deny.map(toolRuleText)), ask: asked.tools },
      { permission: 'infer', allow: expanded.infer, deny: deny('/infer/deny', document.infer.deny), ask: asked.infer },
    ],
    hosts: [...policy.hosts].map(([name, address]) => ({ name, address })),
    budgets: { ...policy.budgets },
    max_tokens: policy.maxTokens,
    env: document.env,
    mounts: document.mounts,
    ask_timeout_ms: policy.askTimeoutMs,
    always_deny: ALWAYS_DENY.map(({ id, why, patterns }) => ({ id, why, patterns: patterns.map((pattern) => `**/${pattern}`) })),
  }
}

/** Plain text, one rule per line; a terminal may print it as it is. */
export function showPolicy(policy: LoadedPolicy): string {
  const view = viewPolicy(policy)
  const lines = [`policy ${view.id}`, `source ${view.source}`]
  for (const { permission, allow, deny, ask } of view.sections) {
    if (allow.length === 0 && deny.length === 0 && ask.length === 0) {
      lines.push('', `${permission}: nothing${permission === 'fs.look' ? ' beyond what may be read or written' : ''}`)
      continue
    }
    lines.push('', `${permission}:`)
    for (const rule of deny) lines.push(`  deny   ${shown(rule.text, permission)}  ${rule.origin}`)
    for (const rule of ask) lines.push(`  ask    ${shown(rule.text, permission)}  ${rule.origin}`)
    for (const rule of allow) lines.push(`  allow  ${shown(rule.text, permission)}  ${rule.origin}`)
  }
  if (view.hosts.length > 0) lines.push('', 'hosts:', ...view.hosts.map(({ name, address }) => `  ${name} is ${address}`))
  for (const section of ['env', 'mounts'] as const) {
    const { allow, require } = view[section]
    if (require.length > 0) lines.push('', `${section} required: ${require.map(quoted).join(' ')}`)
    if (allow !== null) lines.push('', `${section} allowed besides: ${allow.length === 0 ? 'none' : allow.map(quoted).join(' ')}`)
  }
  if (view.sections.some(({ ask }) => ask.length > 0))
    lines.push('', `a request for approval nobody answers is denied after ${view.ask_timeout_ms} ms`)
  const budgets = Object.entries(view.budgets)
  lines.push('', budgets.length === 0 ? 'budgets: unlimited' : 'budgets:', ...budgets.map(([name, limit]) => `  ${name} ${limit}`))
  lines.push('', 'always denied (writing; lifted only by a literal rule):')
  for (const rule of view.always_deny) lines.push(`  ${rule.id}: ${rule.why}`, ...rule.patterns.map((pattern) => `    ${pattern}`))
  lines.push('', 'always denied (connecting; no rule lifts it): link-local, metadata, multicast, reserved and unspecified addresses')
  return `${lines.join('\n')}\n`
}

/** A name in other letters with the spelling that is dialled: a whole word of another script may look like any other. */
function shown(text: string, permission: string): string {
  const name = permission.startsWith('net.') ? /^(?:dns:)?(?:\*\.)?([^:]+)/.exec(text)?.[1] : undefined
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  if (name === undefined || /^[\u0000-\u007f]*$/.test(name)) return quoted(text)
  const host = normalizeHost(name)
  return host.kind === 'name' ? `${quoted(text)} (${host.name})` : quoted(text)
}
