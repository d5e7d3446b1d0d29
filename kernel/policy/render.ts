/** A document back as policy text in the published shape: what `policy suggest` prints and `policy show` ends with. Empty sections are left out. */
import type { PolicyDocument } from './document.ts'
import { POLICY_VERSION } from './schema.ts'

/** JSON text, two spaces, one rule per line, ending with a newline. */
export function renderDocument(document: PolicyDocument): string {
  const { fs, net, tools, infer, budgets } = document
  const whole = {
    version: POLICY_VERSION,
    profiles: document.profiles,
    fs: { read: fs.read, write: fs.write, deny: { read: fs.deny.read, write: fs.deny.write } },
    net: {
      dns: net.dns,
      connect: net.connect,
      listen: net.listen,
      hosts: Object.fromEntries(net.hosts),
      deny: { dns: net.deny.dns, connect: net.deny.connect },
    },
    tools: { allow: tools.allow, deny: tools.deny },
    infer: { models: infer.models, max_tokens: infer.max_tokens ?? undefined },
    budgets,
  }
  return `${JSON.stringify(withoutEmpty(whole) ?? {}, null, 2)}\n`
}

function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value)
    .map(([key, item]) => [key, withoutEmpty(item)] as const)
    .filter(([, item]) => item !== undefined)
  return kept.length === 0 ? undefined : Object.fromEntries(kept)
}
