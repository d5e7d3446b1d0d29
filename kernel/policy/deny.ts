/** Deny lists: they win over every allow rule, and cover names that only some file system takes for the same. */
import { compileRules, isCanonicalName, PatternError, parseEndpoint, parsePathGlob } from '../patterns/index.ts'
import { compileConnectRules, compileNameRules } from '../patterns/net-rules.ts'
import { compilePathRules, type PathRules } from '../patterns/path-rules.ts'
import type { Question } from '../vocabulary/index.ts'
import type { PolicyDocument } from './document.ts'
import { fold } from './fold.ts'
import { compileTools } from './tool-rule.ts'

export interface DenyRules {
  /** JSON pointer of the rule that denies, or null. What may not be looked at may be neither read nor changed. */
  match(question: Question): string | null
}

export function compileDeny(document: PolicyDocument): DenyRules {
  const look = compileFolded(document.fs.deny.look)
  const read = compileFolded(document.fs.deny.read)
  const write = compileFolded(document.fs.deny.write)
  const options = { publicSuffix: 'accept' } as const
  const dns = compileNameRules(document.net.deny.dns, options)
  const connect = compileConnectRules(document.net.deny.connect, options)
  const tools = compileTools(document.tools.deny, 'applies')
  const infer = compileRules({ infer: document.infer.deny })

  return {
    match: ({ action, object, args }) => {
      switch (action) {
        case 'fs.read':
          return at('/fs/deny/read', read(object)) ?? at('/fs/deny/look', look(object))
        case 'fs.write':
          return at('/fs/deny/write', write(object)) ?? at('/fs/deny/look', look(object))
        case 'fs.look':
          return at('/fs/deny/look', look(object))
        case 'net.dns':
          return isCanonicalName(object) ? at('/net/deny/dns', dns.match(object)) : null
        case 'net.connect': {
          const endpoint = parseEndpoint(object)
          if (endpoint?.kind !== 'dns') return null
          return at('/net/deny/connect', connect.names.match(endpoint.name, endpoint.port)) ?? at('/net/deny/dns', dns.match(endpoint.name))
        }
        case 'tools':
          return at('/tools/deny', tools.match(object, args))
        case 'infer':
          return infer.match({ action, object })?.replace('/infer', '/infer/deny') ?? null
        default:
          return null
      }
    },
  }
}

/** Each pattern as written and folded, against the path as asked and folded. */
function compileFolded(patterns: readonly string[]): (path: string) => number | null {
  if (patterns.length === 0) return () => null
  const exact = compilePathRules(patterns)
  const folded: PathRules = compilePathRules(patterns.map(foldPattern))
  return (path) => exact.match(path) ?? folded.match(fold(path))
}

/** A class range may not survive folding (`[Z-a]`): then the pattern as written has to do. */
function foldPattern(text: string): string {
  const folded = fold(text)
  try {
    parsePathGlob(folded)
    return folded
  } catch (error) {
    if (error instanceof PatternError) return text
    throw error
  }
}

function at(list: string, rule: number | null): string | null {
  return rule === null ? null : `${list}/${rule}`
}
