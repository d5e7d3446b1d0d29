import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { readRecords, type ShownRecord } from '@authority/kernel/audit'
import { type Lesson, learn, literalPathOf, loadPolicy, type Need, questionOf, type Rung } from '@authority/kernel/policy'
import { CliError } from '../runs/errors.ts'
import { loadPolicyFiles } from '../runs/policy-files.ts'
import { safe } from '../ui/text.ts'
import { confirmOnTerminal } from './confirm.ts'
import type { Context } from './index.ts'
import { readNamed } from './shared.ts'

/** What learning starts from where there is no policy yet. */
const EMPTY_POLICY = { json: '{ "version": "1.0" }\n', toml: 'version = "1.0"\n' } as const
/** Refusals that a rule of the policy can change. */
const POLICY_CODES: readonly string[] = ['E_POLICY_DENY', 'E_CAP_MISSING']
/** Under it a program may read all of its image: a policy must then say what it did read. */
const IMAGE_RULE = 'built-in:image'
const ACTIONS: readonly string[] = ['fs.look', 'fs.read', 'fs.write', 'net.dns', 'net.connect', 'net.listen', 'tools', 'infer']

/** What a run was refused, and what it read of its own image where no policy had to allow that. */
export async function needsOf(log: string): Promise<Need[]> {
  const needs = new Map<number, Need>()
  let others = -1
  for await (const record of readRecords(log, { types: ['DENY', 'DENY_REPEAT', 'LOOK'] })) {
    if (record.type === 'DENY') {
      const found = needOf(record)
      if (found !== null) needs.set(record.seq, found)
    } else if (record.type === 'DENY_REPEAT') {
      const first = needs.get(record.first)
      if (first !== undefined) needs.set(record.first, { ...first, count: first.count + record.count })
    } else if (record.type === 'LOOK') {
      for (const { op, rule, object, count } of record.counts) {
        if (op === 'image.open' && rule === IMAGE_RULE) needs.set(others--, { question: { action: 'fs.read', object }, image: true, count })
      }
    }
  }
  return [...needs.values()]
}

/** Null: no rule of a policy is about this denial. */
export function needOf(record: Extract<ShownRecord, { type: 'DENY' }>): Need | null {
  const { action, code, op } = record
  if (action === null || !ACTIONS.includes(action) || !POLICY_CODES.includes(code)) return null
  // The fix names the one object at fault, where the record's may name both ends of a rename; a connection is recorded as it was asked for.
  const question = questionOf(action, objectOf(record.fix) ?? record.object)
  if ('error' in question) return null
  return {
    question,
    image: op === 'image.open',
    count: 1,
  }
}

/** The one object a recorded fix is about: a literal path, or a connection's own spelling. */
function objectOf(fix: string | null): string | null {
  if (fix === null) return null
  try {
    const { document } = loadPolicy(Buffer.from(fix), 'fix', { format: 'json' })
    const [path] = [...document.fs.look, ...document.fs.read, ...document.fs.write]
    return path === undefined ? null : literalPathOf(path)
  } catch {
    return null
  }
}

export interface LearnOptions {
  readonly log: string
  /** The policy to add to; made when it is not there. */
  readonly file: string
  readonly rung: Rung
  /** Writes without asking. */
  readonly yes: boolean
  readonly json: boolean
}

/** Shows what a run teaches and, when confirmed, writes it. Answers whether the file now holds it. */
export async function teach(options: LearnOptions, context: Context): Promise<boolean> {
  const { terminal, cwd } = context
  const file = resolve(cwd, options.file)
  const format = /\.(json|toml)$/i.exec(file)?.[1]?.toLowerCase()
  if (format !== 'json' && format !== 'toml')
    throw new CliError('usage', `${options.file} is no name of a policy`, 'end it in .json or .toml')
  const fresh = !existsSync(file)
  const before = fresh ? EMPTY_POLICY[format] : Buffer.from(readNamed(file, 'the policy', 'policy')).toString('utf8')
  // Included files count as allowed already.
  const include = includeBeside(file)
  const lesson = learn(before, options.file, await needsOf(options.log), options.rung, { include, format })
  loadPolicyFiles(Buffer.from(lesson.text), file, options.file, {})
  if (!options.json) for (const line of lessonLines(lesson, options, fresh)) terminal.note(line)
  const changed = lesson.proposals.length > 0
  const write = changed && (options.yes || (!options.json && confirmOnTerminal(`write ${options.file}?`)))
  if (write) replaceFile(file, lesson.text)
  if (options.json)
    terminal.json({
      file: options.file,
      written: write,
      proposals: lesson.proposals,
      replaced: lesson.replaced,
      left_out: lesson.leftOut.map(({ need, why }) => ({ permission: need.question.action, object: need.question.object, why })),
      policy: lesson.tree,
    })
  else if (write) terminal.note(`authority: wrote ${safe(options.file)}`)
  else if (changed) terminal.note(`authority: nothing written; --yes writes without asking`)
  return write
}

function includeBeside(file: string): (name: string) => Uint8Array {
  return (name) => {
    let found: Uint8Array | null = null
    const asking = JSON.stringify({ version: '1.0', include: [name] })
    const { includes } = loadPolicyFiles(Buffer.from(asking), file, basename(file), {})
    for (const each of includes) if (each.name === name) found = Buffer.from(each.base64, 'base64')
    if (found === null) throw new Error('there is no such file')
    return found
  }
}

function lessonLines({ proposals, leftOut, replaced }: Lesson, { file, rung }: LearnOptions, fresh: boolean): string[] {
  const lines = leftOut.map(({ need, why }) => `authority: left out: ${need.question.action} ${safe(need.question.object)}: ${safe(why)}`)
  if (proposals.length === 0) return [...lines, 'authority: nothing to learn: the policy allows all a rule could allow']
  lines.push(`--- ${fresh ? '(no file)' : safe(file)}`, `+++ ${safe(file)}`)
  if (replaced.length > 0) lines.push('  fs.look', ...replaced.map((rule) => `-   ${safe(JSON.stringify(rule))}`))
  let permission = ''
  for (const proposal of proposals) {
    if (proposal.permission !== permission) lines.push(`  ${proposal.permission}`)
    permission = proposal.permission
    lines.push(`+   ${safe(JSON.stringify(proposal.rule))}${proposal.covers > 1 ? `   (${proposal.covers} effects)` : ''}`)
  }
  const wider = [...new Set(proposals.flatMap((each) => (each.wider === null ? [] : [`${each.permission} ${each.wider}`])))]
  if (rung === 'literal' && wider.length > 0) lines.push(`authority: wider, with --level folder: ${wider.map(safe).join(', ')}`)
  return lines
}

/** All or nothing; permissions kept. */
function replaceFile(path: string, text: string): void {
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o644
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}`)
  writeFileSync(beside, text, { mode, flag: 'wx' })
  renameSync(beside, path)
}
