import { DIMENSIONS } from '../vocabulary/index.ts'
import { type BlockBody, decodeBlock, type Limits } from './blocks.ts'
import { hex } from './mac.ts'
import { ALL_SECTIONS } from './sections.ts'
import { parseToken } from './token.ts'

/** What a token says about itself, in words, for `cap show`. Nothing was verified: only the gate that minted it can say whether it is genuine. */
export function describe(token: string): readonly string[] {
  const { run, keyId, notBefore, expires, blocks } = parseToken(token)
  return [
    `run ${hex(run)}, key ${hex(keyId)}`,
    `valid from ${instant(notBefore)} until ${instant(expires)}`,
    ...blocks.flatMap((block, index) => describeBlock(decodeBlock(block, index), index)),
    'not verified here: only the gate of that run can tell whether the token is genuine, unrevoked and open',
  ]
}

function describeBlock(body: BlockBody, index: number): string[] {
  const lines = [`block ${index} ${HEADLINE[body.kind]}`, ...sectionLines(body)]
  if (body.kind === 'restrict') {
    if (body.notBefore !== undefined) lines.push(`not before ${instant(body.notBefore)}`)
    if (body.expires !== undefined) lines.push(`only until ${instant(body.expires)}`)
  }
  return [lines[0] ?? '', ...[...lines.slice(1), ...limitLines(body)].map((line) => `  ${line}`)]
}

const HEADLINE: Readonly<Record<BlockBody['kind'], string>> = { grant: 'grants', 'run-grant': 'grants', restrict: 'restricts' }

function sectionLines(body: BlockBody): string[] {
  if (body.kind === 'run-grant') return [`what the policy of the run allows (grants ${hex(body.digest).slice(0, 16)}…)`]
  const lines = ALL_SECTIONS.flatMap((action) => {
    const patterns = body.sections.get(action)
    if (patterns === undefined) return []
    return [`${action}${body.kind === 'restrict' ? ' to' : ''} ${patterns.length === 0 ? 'nothing' : patterns.map(quoted).join(', ')}`]
  })
  if (body.kind === 'grant' && lines.length === 0) lines.push('nothing')
  if (body.kind === 'restrict' && body.closed) lines.push('everything not named here to nothing')
  return lines
}

function limitLines(limits: Limits): string[] {
  const { delegate, uses, rate, budget } = limits
  const lines: string[] = []
  if (uses !== undefined) lines.push(`at most ${uses} ${uses === 1 ? 'use' : 'uses'}`)
  if (rate !== undefined) lines.push(`at most ${rate.count} per ${rate.periodMs} ms, ${rate.burst} at once`)
  if (budget !== undefined)
    lines.push(
      `at most ${DIMENSIONS.flatMap((name) => (budget[name] === undefined ? [] : [`${name} ${budget[name]}`])).join(', ') || 'nothing'}`,
    )
  if (delegate !== undefined)
    lines.push(delegate === 0 ? 'cannot be narrowed further' : `can be narrowed ${delegate} more ${delegate === 1 ? 'time' : 'times'}`)
  return lines
}

function instant(ms: number): string {
  return ms <= MAX_DATE_MS ? new Date(ms).toISOString() : `${ms} ms after 1970`
}

/** ECMAScript's greatest Date. */
const MAX_DATE_MS = 8.64e15

/** A pattern is its author's text: quoted, with everything a terminal might act on or hide spelled out. */
function quoted(pattern: string): string {
  return JSON.stringify(pattern).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`)
}
