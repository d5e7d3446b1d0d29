import { expect, test } from 'vitest'
import { NOW, read, testStage, write } from './testing/index.ts'

/** Lengths on both sides of each that takes another byte to say. */
const COUNTS = [1, 23, 24, 255, 256]
const LENGTHS = [2, 22, 23, 24, 25, 255]
const validity = { notBefore: NOW, expires: NOW + 10_000 }

const path = (i: number): string => `/${i}`
const longPath = (length: number): string => `/${'a'.repeat(length - 1)}`

test('every list is found behind others, whatever their length, and so is every pattern in it', () => {
  const { stage } = testStage()
  for (const count of COUNTS) {
    const paths = Array.from({ length: count }, (_, i) => path(i))
    const handle = stage.bind('s', stage.mint({ fs: { read: paths, write: ['/out/**'] }, tools: ['search'] }, validity))
    const allows = (question: ReturnType<typeof read>): boolean => stage.check('s', handle, [question]).allow
    expect(paths.every((own) => allows(read(own)))).toBe(true)
    expect([read(path(count)), write('/0'), read('/out/a'), { action: 'tools', object: 'fetch' } as const].some(allows)).toBe(false)
    expect([write('/out/a'), { action: 'tools', object: 'search' } as const].every(allows)).toBe(true)
  }
})

test('a pattern of any length ends where the next begins', () => {
  const { stage } = testStage()
  for (const length of LENGTHS) {
    const handle = stage.bind('s', stage.mint({ fs: { read: [longPath(length), '/next'], write: ['/out'] } }, validity))
    const allowed = [read(longPath(length)), read('/next'), write('/out')].map((question) => stage.check('s', handle, [question]).allow)
    expect(allowed).toEqual([true, true, true])
    expect(stage.check('s', handle, [read(longPath(length + 1))]).allow).toBe(false)
  }
})
