/** A document back as policy text in the published shape: what `policy suggest` prints and `policy show` ends with. Empty sections are left out. */
import type { NamedLimits } from '../vocabulary/index.ts'
import type { PolicyDocument } from './document.ts'
import { POLICY_VERSION } from './schema.ts'

/** JSON text, two spaces, one rule per line, ending with a newline. */
export function renderDocument(document: PolicyDocument): string {
  const { fs, net, tools, infer, budgets, env, mounts, ask } = document
  const whole = {
    version: POLICY_VERSION,
    profiles: document.profiles,
    fs: { look: fs.look, read: fs.read, write: fs.write, deny: fs.deny, ask: fs.ask },
    net: {
      dns: net.dns,
      connect: net.connect,
      listen: net.listen,
      hosts: Object.fromEntries(net.hosts),
      deny: net.deny,
      ask: net.ask,
    },
    tools,
    infer: { ...infer, max_tokens: infer.max_tokens ?? undefined },
    budgets: nested(budgets),
    env: { allow: env.allow ?? undefined, require: env.require },
    mounts: { allow: mounts.allow ?? undefined, require: mounts.require },
    ask: { timeout_ms: ask.timeout_ms ?? undefined },
  }
  const kept = withoutEmpty(whole) as Record<string, Record<string, unknown>>
  // An empty list of what may be given means something: nothing may.
  if (env.allow?.length === 0) kept.env = { allow: [], ...kept.env }
  if (mounts.allow?.length === 0) kept.mounts = { allow: [], ...kept.mounts }
  return `${JSON.stringify(kept, null, 2)}\n`
}

/** `net.calls` under `net`, as a file has it. */
function nested(budgets: NamedLimits): Record<string, unknown> {
  const whole: Record<string, unknown> = {}
  for (const [name, limit] of Object.entries(budgets)) {
    const [first = '', second] = name.split('.')
    whole[first] = second === undefined ? limit : { ...(whole[first] as object | undefined), [second]: limit }
  }
  return whole
}

function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value)
    .map(([key, item]) => [key, withoutEmpty(item)] as const)
    .filter(([, item]) => item !== undefined)
  return kept.length === 0 ? undefined : Object.fromEntries(kept)
}
