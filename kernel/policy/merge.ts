import type { PathLists, PolicyDocument } from './document.ts'
import { pointerTo } from './tree.ts'

export interface Part {
  /** Empty for the file itself, else the name of the included one: stands before `#` in the origin of its rules. */
  readonly file: string
  readonly document: PolicyDocument
}

/** `conflict` is told of every name that two files map differently. */
export function mergeParts(parts: readonly Part[], conflict: (name: string, part: Part) => void): PolicyDocument {
  const [first, ...others] = parts
  if (first === undefined) throw new TypeError('a policy has at least one file')
  if (others.length === 0) return first.document
  const origins = new Map<string, string[]>()
  const list = <T>(pointer: string, pick: (document: PolicyDocument) => readonly T[]): T[] => {
    const from: string[] = []
    const all = parts.flatMap(({ file, document }) =>
      pick(document).map((rule, index) => {
        from.push(`${file === '' ? '' : `${file}#`}${pointerTo(pointer, index)}`)
        return rule
      }),
    )
    origins.set(pointer, from)
    return all
  }
  const paths = (section: string, pick: (document: PolicyDocument) => PathLists): PathLists => ({
    look: list(`${section}/look`, (document) => pick(document).look),
    read: list(`${section}/read`, (document) => pick(document).read),
    write: list(`${section}/write`, (document) => pick(document).write),
  })
  const lowest = (pick: (document: PolicyDocument) => number | null): number | null =>
    parts.reduce<number | null>((least, { document }) => lower(least, pick(document)), null)
  const union = (pick: (document: PolicyDocument) => readonly string[] | null): string[] | null =>
    parts.every(({ document }) => pick(document) === null) ? null : [...new Set(parts.flatMap(({ document }) => pick(document) ?? []))]
  return {
    profiles: [...new Set(parts.flatMap(({ document }) => document.profiles))],
    fs: {
      ...paths('/fs', ({ fs }) => fs),
      deny: paths('/fs/deny', ({ fs }) => fs.deny),
      ask: paths('/fs/ask', ({ fs }) => fs.ask),
    },
    net: {
      dns: list('/net/dns', ({ net }) => net.dns),
      connect: list('/net/connect', ({ net }) => net.connect),
      listen: list('/net/listen', ({ net }) => net.listen),
      hosts: mergeHosts(parts, conflict),
      deny: { dns: list('/net/deny/dns', ({ net }) => net.deny.dns), connect: list('/net/deny/connect', ({ net }) => net.deny.connect) },
      ask: { connect: list('/net/ask/connect', ({ net }) => net.ask.connect) },
    },
    tools: {
      allow: list('/tools/allow', ({ tools }) => tools.allow),
      deny: list('/tools/deny', ({ tools }) => tools.deny),
      ask: list('/tools/ask', ({ tools }) => tools.ask),
    },
    infer: {
      models: list('/infer/models', ({ infer }) => infer.models),
      deny: list('/infer/deny', ({ infer }) => infer.deny),
      ask: list('/infer/ask', ({ infer }) => infer.ask),
      max_tokens: lowest(({ infer }) => infer.max_tokens),
    },
    budgets: mergeBudgets(parts),
    env: { allow: union(({ env }) => env.allow), require: union(({ env }) => env.require) ?? [] },
    mounts: { allow: union(({ mounts }) => mounts.allow), require: union(({ mounts }) => mounts.require) ?? [] },
    ask: { timeout_ms: lowest(({ ask }) => ask.timeout_ms) },
    origins,
  }
}

function mergeHosts(parts: readonly Part[], conflict: (name: string, part: Part) => void): Map<string, string> {
  const hosts = new Map<string, string>()
  for (const part of parts) {
    for (const [name, address] of part.document.net.hosts) {
      if ((hosts.get(name) ?? address) !== address) conflict(name, part)
      hosts.set(name, address)
    }
  }
  return hosts
}

function mergeBudgets(parts: readonly Part[]): PolicyDocument['budgets'] {
  const budgets: Record<string, number> = {}
  for (const { document } of parts) {
    for (const [dimension, limit] of Object.entries(document.budgets)) budgets[dimension] = Math.min(budgets[dimension] ?? limit, limit)
  }
  return budgets
}

function lower(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}

/** Where the rule behind a pointer into the document's own lists stands: the pointer itself, or `FILE#POINTER`. */
export function originOf(document: PolicyDocument, pointer: string): string {
  const slash = pointer.lastIndexOf('/')
  return document.origins?.get(pointer.slice(0, slash))?.[Number(pointer.slice(slash + 1))] ?? pointer
}
