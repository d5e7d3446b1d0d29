import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Verb } from './arguments.ts'
import { helpOf, overview } from './help.ts'
import { resolveVerb } from './resolve.ts'
import { LATER, VERBS, type VerbName } from './verbs.ts'

const names = Object.keys(VERBS) as VerbName[]

describe.each(names)('%s', (name) => {
  const verb: Verb = VERBS[name]
  test('has its own file', () => expect(existsSync(join(import.meta.dirname, `${name.replace(' ', '-')}.ts`))).toBe(true))
  test('stands in the overview and has help that names every flag', () => {
    expect(overview()).toContain(`authority ${name} `)
    for (const flag of Object.keys(verb.flags)) expect(helpOf(name)).toContain(`--${flag}`)
  })
  test('has letters of its own, and none that help uses', () => {
    const letters = Object.values(verb.flags).flatMap(({ short }) => short ?? [])
    expect(new Set(letters).size).toBe(letters.length)
    expect(letters).not.toContain('h')
  })
  test('is found by its words', () =>
    expect(resolveVerb([...name.split(' '), 'x'], false)).toMatchObject({ kind: 'verb', name, words: ['x'] }))
  test('fits a terminal', () => {
    for (const line of (helpOf(name) ?? '').split('\n')) expect(line.length).toBeLessThanOrEqual(104)
  })
})

test('what is planned is shown nowhere and answered with later', () => {
  for (const name of LATER) {
    expect(names).not.toContain(name)
    expect(overview()).not.toContain(`authority ${name}`)
    expect(() => resolveVerb(name.split(' '), false)).toThrow('planned for later')
  }
})

test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('%s is no command', (word) => {
  expect(() => resolveVerb([word], false)).toThrow(`there is no command \`authority ${word}\``)
  expect(() => resolveVerb(['audit', word], false)).toThrow('there is no command')
})
