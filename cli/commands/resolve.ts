import { nearest } from '../config/nearest.ts'
import { CliError } from '../runs/errors.ts'
import type { Verb } from './arguments.ts'
import { helpOf, overview } from './help.ts'
import { LATER, NEVER, VERBS, type VerbName } from './verbs.ts'

export type Resolved =
  | { readonly kind: 'verb'; readonly name: VerbName; readonly verb: Verb; readonly words: readonly string[] }
  | { readonly kind: 'text'; readonly text: string }

/** Which verb a command line means, or the help it asks for. Throws CliError `usage` with the nearest verb for anything else. */
export function resolveVerb(words: readonly string[], help: boolean): Resolved {
  const [first, second] = words
  if (first === undefined) return { kind: 'text', text: overview() }
  if (first === 'help') return helpFor(words.slice(1))
  if (first === '--version') return resolveVerb(['version', ...words.slice(1)], help)
  const name = verbNameOf(first, second)
  if (name === null) {
    if (help || second === undefined) {
      const group = helpOf(first)
      if (group !== null && help) return { kind: 'text', text: group }
    }
    throw unknown(first, second)
  }
  if (help) return { kind: 'text', text: helpOf(name) ?? '' }
  return { kind: 'verb', name, verb: VERBS[name], words: words.slice(name.split(' ').length) }
}

function verbNameOf(first: string, second: string | undefined): VerbName | null {
  const pair = `${first} ${second ?? ''}`
  if (Object.hasOwn(VERBS, pair)) return pair as VerbName
  return Object.hasOwn(VERBS, first) ? (first as VerbName) : null
}

function helpFor(words: readonly string[]): Resolved {
  const [first, second] = words
  if (first === undefined) return { kind: 'text', text: overview() }
  const text = (second === undefined ? null : helpOf(`${first} ${second}`)) ?? helpOf(first)
  if (text === null) throw unknown(first, second)
  return { kind: 'text', text }
}

function unknown(first: string, second: string | undefined): CliError {
  const why = Object.hasOwn(NEVER, first) ? NEVER[first] : undefined
  if (why !== undefined) return new CliError('usage', `there is no \`authority ${first}\``, why)
  const members = membersOf(first)
  const pair = `${first} ${second ?? ''}`.trim()
  if (LATER.includes(pair) || (members.length === 0 && LATER.some((name) => name.startsWith(`${first} `))))
    return new CliError('usage', `\`authority ${pair}\` is planned for later`, 'see `authority help` for what there is')
  if (members.length > 0) {
    const near = second === undefined ? undefined : nearest(second, members)
    return new CliError(
      'usage',
      second === undefined ? `\`authority ${first}\` needs one word more` : `there is no command \`authority ${pair}\``,
      near === undefined
        ? `there are: ${members.map((member) => `authority ${first} ${member}`).join(', ')}`
        : `did you mean \`authority ${first} ${near}\`?`,
    )
  }
  const near = nearest(first, new Set(Object.keys(VERBS).map((name) => name.split(' ')[0] ?? name)))
  return new CliError(
    'usage',
    `there is no command \`authority ${first}\``,
    near === undefined ? 'see `authority help`' : `did you mean \`authority ${near}\`?`,
  )
}

function membersOf(group: string): string[] {
  return Object.keys(VERBS).flatMap((name) => (name.startsWith(`${group} `) ? [name.slice(group.length + 1)] : []))
}
