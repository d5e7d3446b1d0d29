/** Merges the fixes recorded with a run's denials into one policy that loads. */
import { isCanonicalName, parseEndpoint } from '../patterns/index.ts'
import { alwaysDenied, guardedFolder } from './always-deny.ts'
import { EMPTY_DOCUMENT, type PolicyDocument } from './document.ts'
import { MAX_FIXES } from './limits.ts'
import { literalPathOf } from './literal-path.ts'
import { loadPolicy } from './load.ts'
import { PolicyLoadError } from './load-error.ts'
import { PROFILE_NAMES } from './profiles.ts'
import { renderDocument } from './render.ts'
import { nameOf } from './tool-rule.ts'

export interface Suggestion {
  /** A whole policy that loads and allows what the fixes allow, except what is left out. */
  readonly policy: string
  /** Writes that only a person should lift, by a literal rule: never suggested. */
  readonly leftOut: readonly string[]
  /** How many fixes were no policy this build loads. */
  readonly unreadable: number
}

export interface SuggestOptions {
  /** The policy the run was under: everything it says is kept. */
  readonly base?: PolicyDocument
  /** Profiles the run's image needs to read its own files; names this build does not know are left out. */
  readonly profiles?: readonly string[]
}

/** `fixes`: JSON texts of `PolicyVerdict.fix`, in any order and number of repeats. Total: what does not load is counted, not thrown. */
export function suggestPolicy(fixes: readonly string[], { base = EMPTY_DOCUMENT, profiles = [] }: SuggestOptions = {}): Suggestion {
  const documents: PolicyDocument[] = [base]
  let unreadable = 0
  for (const fix of new Set(fixes.slice(0, MAX_FIXES))) {
    const document = documentOf(fix)
    if (document === null) unreadable++
    else documents.push(document)
  }
  const all = (list: (document: PolicyDocument) => readonly string[]): string[] => [...new Set(documents.flatMap(list))].sort()
  const writes = all((document) => document.fs.write)
  const guarded = (rule: string): boolean => {
    const path = literalPathOf(rule)
    return path !== null && (alwaysDenied(path) !== null || guardedFolder(path) !== null)
  }
  const toolNames = new Set(base.tools.allow.map(nameOf))
  const added = all(({ tools }) => tools.allow.map(nameOf)).filter((name) => !toolNames.has(name))
  const connect = all((document) => document.net.connect)
  const connected = new Set(connect.flatMap(hostOf))
  const merged: PolicyDocument = {
    ...base,
    profiles: PROFILE_NAMES.filter((name) => base.profiles.includes(name) || profiles.includes(name)),
    fs: {
      ...base.fs,
      look: all((document) => document.fs.look),
      read: all((document) => document.fs.read),
      write: writes.filter((rule) => !guarded(rule) || base.fs.write.includes(rule)),
    },
    net: {
      ...base.net,
      // A connect rule implies resolving its name.
      dns: all((document) => document.net.dns).filter((name) => !connected.has(name)),
      connect,
      listen: all((document) => document.net.listen),
    },
    tools: { ...base.tools, allow: [...base.tools.allow, ...added] },
    infer: { ...base.infer, models: all((document) => document.infer.models) },
  }
  return { policy: renderDocument(merged), leftOut: writes.filter((rule) => guarded(rule) && !base.fs.write.includes(rule)), unreadable }
}

/** As `suggestPolicy`, only the text. */
export function mergeFixes(fixes: readonly string[]): string {
  return suggestPolicy(fixes).policy
}

function documentOf(fix: string): PolicyDocument | null {
  try {
    return loadPolicy(new TextEncoder().encode(fix), 'fix', { format: 'json' }).document
  } catch (error) {
    if (error instanceof PolicyLoadError) return null
    throw error
  }
}

function hostOf(rule: string): string[] {
  const endpoint = parseEndpoint(rule)
  return endpoint?.kind === 'dns' && isCanonicalName(endpoint.name) ? [endpoint.name] : []
}
