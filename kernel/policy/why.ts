/** `policy why EFFECT`: one effect written by a person, decided and explained. */
import { formatHost, normalizeHost, parseEndpoint } from '../patterns/index.ts'
import type { Action, Question } from '../vocabulary/index.ts'
import { nearestKey } from './nearest-key.ts'
import type { LoadedPolicy } from './stage.ts'
import type { PolicyVerdict } from './types.ts'

export interface Explanation {
  readonly question: Question
  readonly verdict: PolicyVerdict
  /** Plain text, a few lines. */
  readonly text: string
}

/** Everything a policy decides about. */
export const ACTIONS: readonly Action[] = ['fs.look', 'fs.read', 'fs.write', 'net.dns', 'net.connect', 'net.listen', 'tools', 'infer']

/** `action` and `object` as a person writes them (`net.connect GitHub.com:443` is understood). Returns a sentence when they cannot be. */
export function explain(
  policy: LoadedPolicy,
  action: string,
  object: string,
): Explanation | { readonly error: string; readonly hint: string } {
  const question = questionOf(action, object)
  if ('error' in question) return question
  const verdict = policy.decide(question)
  const lines = [`${standingOf(verdict)}: ${question.action} ${question.object}`, `because: ${verdict.reason}`]
  if (!verdict.allow) lines.push(remedy(verdict))
  return { question, verdict, text: `${lines.join('\n')}\n` }
}

/** The question a person means, or a sentence that says why there is none. */
export function questionOf(action: string, object: string): Question | { readonly error: string; readonly hint: string } {
  const known = ACTIONS.find((candidate) => candidate === action)
  if (known !== undefined) return { action: known, object: canonical(known, object) }
  const near = nearestKey(action, ACTIONS)
  return {
    error: `\`${action}\` is not a permission`,
    hint: near === null ? `permissions are ${ACTIONS.join(', ')}` : `did you mean \`${near}\`?`,
  }
}

export function standingOf(verdict: PolicyVerdict): 'allowed' | 'asked' | 'denied' {
  return verdict.allow ? 'allowed' : verdict.ask === true ? 'asked' : 'denied'
}

function remedy(verdict: PolicyVerdict): string {
  if (verdict.ask === true) return `a person must approve it: \`authority approvals ls RUN\`; to allow it without, remove ${verdict.rule}`
  if (verdict.fix !== null) return `allow exactly this with: ${verdict.fix}`
  if (verdict.rule?.includes('/deny/') === true) return `to allow it, change the deny rule ${verdict.rule}`
  return verdict.reason.includes('with these arguments') ? 'to allow it, change the condition it fails' : 'no rule can allow it'
}

function canonical(action: Action, object: string): string {
  if (action === 'net.dns') {
    const host = normalizeHost(object)
    return host.kind === 'name' ? host.name : object
  }
  if ((action !== 'net.connect' && action !== 'net.listen') || parseEndpoint(object) !== null) return object
  const parts = /^(?:dns:|ip:)?(.+):([0-9]{1,5})$/.exec(object)
  const host = normalizeHost(parts?.[1] ?? '')
  if (host.kind === 'error') return object
  return host.kind === 'name' ? `dns:${host.name}:${parts?.[2]}` : `ip:${formatHost(host.address)}:${parts?.[2]}`
}
