/** One path segment of a glob, matched by code points: cost at most |segment| × |name|, both bounded by the length of a name. */
import type { CharClass, Token } from './glob-tokens.ts'

export type Step = { readonly kind: 'char'; readonly char: string } | { readonly kind: 'one' } | { readonly kind: 'star' } | CharClass

export type Segment =
  | { readonly kind: 'globstar' }
  | { readonly kind: 'literal'; readonly text: string }
  /** `prefix*suffix`: the common case, without a loop. */
  | { readonly kind: 'affix'; readonly prefix: string; readonly suffix: string }
  | { readonly kind: 'glob'; readonly steps: readonly Step[] }

/** Neighbouring stars, as `{*,a*}*` makes them, are one. */
export function compileSegment(tokens: readonly Token[]): Segment {
  const steps: Step[] = []
  for (const token of tokens) {
    if (token.kind === 'slash' || token.kind === 'globstar') throw new TypeError('not a token of one segment')
    if (token.kind !== 'star' || steps.at(-1)?.kind !== 'star') steps.push(token)
  }
  const stars = steps.filter((step) => step.kind === 'star').length
  const plain = steps.every((step) => step.kind === 'char' || step.kind === 'star')
  if (!plain || stars > 1) return { kind: 'glob', steps }
  const text = (part: readonly Step[]): string => part.map((step) => (step.kind === 'char' ? step.char : '')).join('')
  if (stars === 0) return { kind: 'literal', text: text(steps) }
  const at = steps.findIndex((step) => step.kind === 'star')
  return { kind: 'affix', prefix: text(steps.slice(0, at)), suffix: text(steps.slice(at + 1)) }
}

export function matchSegment(segment: Segment, name: string): boolean {
  switch (segment.kind) {
    case 'literal':
      return segment.text === name
    case 'affix':
      return (
        name.length >= segment.prefix.length + segment.suffix.length && name.startsWith(segment.prefix) && name.endsWith(segment.suffix)
      )
    case 'glob':
      return matchSteps(segment.steps, Array.from(name))
    case 'globstar':
      return true
  }
}

/** Only the last star is ever taken back, so no pattern explodes. */
function matchSteps(steps: readonly Step[], name: readonly string[]): boolean {
  let p = 0
  let s = 0
  let retryStep = -1
  let retryName = -1
  while (s < name.length) {
    const step = steps[p]
    if (step?.kind === 'star') {
      retryStep = p++
      retryName = s
    } else if (step !== undefined && matchStep(step, name[s] ?? '')) {
      p++
      s++
    } else if (retryStep >= 0) {
      p = retryStep + 1
      s = ++retryName
    } else return false
  }
  while (steps[p]?.kind === 'star') p++
  return p === steps.length
}

function matchStep(step: Step, char: string): boolean {
  if (step.kind === 'char') return step.char === char
  if (step.kind === 'one' || step.kind === 'star') return true
  const point = char.codePointAt(0) ?? -1
  return step.ranges.some(([low, high]) => low <= point && point <= high) !== step.negated
}
