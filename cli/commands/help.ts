import type { Flag, Verb } from './arguments.ts'
import { VERBS } from './verbs.ts'

const WIDTH = 100
const names = Object.keys(VERBS) as (keyof typeof VERBS)[]

/** `authority help`: verbs of one group on one line each. */
export function overview(): string {
  const rows = names.map((name) => [`authority ${name}`, VERBS[name].summary] as const)
  return [
    'authority puts an agent into a virtual machine with no way out except one gate.',
    '',
    ...aligned(rows),
    '',
    'authority help VERB tells more. --debug shows where a failure came from.',
    'State is kept in $AUTHORITY_HOME (otherwise the platform’s state folder).',
  ].join('\n')
}

/** Help of one verb, or of a group (`audit`): null when there is neither. */
export function helpOf(name: string): string | null {
  const verb: Verb | undefined = Object.hasOwn(VERBS, name) ? VERBS[name as keyof typeof VERBS] : undefined
  if (verb !== undefined) return verbHelp(name, verb)
  const group = names.filter((each) => each.startsWith(`${name} `))
  if (group.length === 0) return null
  return [...aligned(group.map((each) => [`authority ${each}`, VERBS[each].summary])), '', `authority help ${name} VERB tells more.`].join(
    '\n',
  )
}

function verbHelp(name: string, verb: Verb): string {
  const flags = Object.entries(verb.flags)
  const lines = [`authority ${name}: ${verb.summary}`, '', `  authority ${name}${usageOf(verb)}`]
  if (flags.length > 0) lines.push('', ...aligned(flags.map(([flag, facts]) => [written(flag, facts), facts.doc])))
  for (const note of verb.notes ?? []) lines.push('', ...wrap(note, WIDTH))
  return lines.join('\n')
}

function usageOf(verb: Verb): string {
  const positionals = verb.positionals.map((name) => (name.endsWith('?') ? ` [${name.slice(0, -1)}]` : ` ${name}`)).join('')
  const flags = Object.keys(verb.flags).length === 0 ? '' : ' [FLAGS]'
  return `${positionals}${flags}${verb.rest === undefined ? '' : ` [-- ${verb.rest}]`}`
}

function written(name: string, { kind, short, value }: Flag): string {
  const dash = short === undefined ? '    ' : `-${short}, `
  const operand = kind === 'switch' ? '' : kind === 'switch-or-text' ? `[=${value ?? 'VALUE'}]` : ` ${value ?? 'VALUE'}`
  return `${dash}--${name}${operand}`
}

/** Two columns, the second wrapped under itself. */
function aligned(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([first]) => first.length)) + 4
  return rows.flatMap(([first, second]) =>
    wrap(second, Math.max(40, WIDTH - left)).map((line, index) => `${(index === 0 ? `  ${first}` : '').padEnd(left)}${line}`),
  )
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
