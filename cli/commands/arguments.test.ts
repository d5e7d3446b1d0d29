import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CliError } from '../runs/errors.ts'
import { parseArguments, type Verb } from './arguments.ts'

const VERB = {
  summary: 'for the test',
  positionals: ['THING', 'OTHER?'],
  rest: 'ARGS…',
  flags: {
    config: { kind: 'text', short: 'c', value: 'FILE', doc: '' },
    volume: { kind: 'list', short: 'v', value: 'A:B', doc: '' },
    interactive: { kind: 'switch', short: 'i', doc: '' },
    tty: { kind: 'switch', short: 't', doc: '' },
    json: { kind: 'switch-or-text', value: 'FILE', doc: '' },
  },
} as const satisfies Verb

const parse = (...words: string[]) => parseArguments('test', VERB, words)
const refusal = (...words: string[]): string => {
  try {
    parse(...words)
  } catch (error) {
    if (error instanceof CliError && error.exitCode === 64) return error.message
    throw error
  }
  return 'accepted'
}

describe('what is accepted', () => {
  test('flags before, between and after arguments', () =>
    expect(parse('-c', 'f', 'a', '--volume', 'x', 'b', '-v=y')).toEqual({
      flags: { config: 'f', volume: ['x', '=y'], interactive: false, tty: false, json: false },
      positionals: ['a', 'b'],
      rest: null,
    }))
  test('switches together', () => expect(parse('a', '-it').flags).toMatchObject({ interactive: true, tty: true }))
  test('a value glued to its letter, and by =', () => {
    expect(parse('a', '-cfile').flags.config).toBe('file')
    expect(parse('a', '--config=-file').flags.config).toBe('-file')
  })
  test('a switch that may have a value', () => {
    expect(parse('a', '--json').flags.json).toBe(true)
    expect(parse('a', '--json=out').flags.json).toBe('out')
  })
  test('everything after -- as it is', () => expect(parse('a', '--', '-c', '--', '--x').rest).toEqual(['-c', '--', '--x']))
  test('a lone dash is an argument and a value', () => {
    expect(parse('-').positionals).toEqual(['-'])
    expect(parse('a', '-c', '-').flags.config).toBe('-')
  })
})

describe('what is refused', () => {
  test.each([
    [[], 'THING is missing'],
    [['a', 'b', 'c'], '`c` is one argument too many'],
    [['a', '--confg', 'x'], 'there is no flag `--confg` of `authority test`'],
    [['a', '--constructor'], 'there is no flag `--constructor` of `authority test`'],
    [['a', '--__proto__=x'], 'there is no flag `--__proto__` of `authority test`'],
    [['a', '-x'], 'there is no flag `-x` of `authority test`'],
    [['a', '-c'], '-c needs a value: -c FILE'],
    [['a', '-c', '--tty'], '-c needs a value: -c FILE'],
    [['a', '-c', 'x', '--config', 'y'], '--config is given twice'],
    [['a', '--config='], '--config has an empty value'],
    [['a', '--json='], '--json has an empty value'],
    [['a', '--tty=yes'], '--tty takes no value'],
  ])('%j', (words, message) => expect(refusal(...words)).toBe(message))
})

test('any words are parsed or refused with a usage error, and no word before -- is lost', () =>
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constantFrom('-c', '-v', '-it', '--json', '--', '--volume', 'a', '-'), fc.string())), (words) => {
      if (refusal(...words) !== 'accepted') return
      const { flags, positionals, rest } = parse(...words)
      expect(positionals.length).toBeGreaterThan(0)
      expect(positionals.length).toBeLessThanOrEqual(2)
      expect(flags.volume.every((value) => value !== '')).toBe(true)
      const cut = words.indexOf('--')
      // A `--` may be the refused value of a flag, but never an accepted one.
      expect(rest).toEqual(cut < 0 ? null : words.slice(cut + 1))
    }),
  ))
