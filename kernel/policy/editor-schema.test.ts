/** The JSON Schema editors use beside the loader, judged by a validator of others: it takes all the loader takes, and refuses what is wrong in structure. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { parse } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { loadPolicy, PolicyLoadError } from './index.ts'
import { documents } from './oracle/generate.ts'
import { bytesOf } from './testing.ts'

const ROOT = join(import.meta.dirname, '../..')
const schema = JSON.parse(readFileSync(join(import.meta.dirname, 'policy.schema.json'), 'utf8')) as object
const validate = new Ajv2020({ strict: true, allErrors: false, allowUnionTypes: true }).compile(schema)
const takes = (document: unknown): boolean => validate(document)

const treeOf = (path: string): unknown => {
  const text = readFileSync(path, 'utf8')
  return path.endsWith('.toml') ? parse(text) : JSON.parse(text)
}
const filesIn = (...parts: string[]): string[] => readdirSync(join(ROOT, ...parts)).map((name) => join(ROOT, ...parts, name))

describe('policy.schema.json', () => {
  const agents = readdirSync(join(ROOT, 'fixtures/agents'))
    .map((name) => join(ROOT, 'fixtures/agents', name, 'policy.json'))
    .filter(existsSync)
  it.each([...filesIn('fixtures/policies/valid'), ...agents])('takes %s', (path) => {
    expect([takes(treeOf(path)), validate.errors]).toEqual([true, null])
  })

  /** Wrong in meaning, or as text: no schema can tell. */
  const BEYOND = ['comment.json', 'duplicate-key.json', 'every-name.json', 'metadata.json', 'public-suffix.json', 'write-everything.json']
  it.each(filesIn('fixtures/policies/refused').filter((path) => !path.endsWith('expected.json')))(
    'refuses %s where a schema can',
    (path) => {
      let tree: unknown
      try {
        tree = treeOf(path)
      } catch {
        return expect(BEYOND).toContain(path.split('/').at(-1))
      }
      expect(takes(tree)).toBe(BEYOND.some((name) => path.endsWith(`/${name}`)))
    },
  )

  it.each<[string, unknown, boolean]>([
    ['nothing', {}, false],
    ['no version', { fs: {} }, false],
    ['version', { version: '1.0', $schema: 'x' }, true],
    ['tools', { version: '1.0', tools: { allow: ['a', { name: 'b', args: { '/x': { in: [1, null, 'a'], max_length: 3 } } }] } }, true],
    ['a condition', { version: '1.0', tools: { allow: [{ name: 'b', args: { '/x': { is: 1 } } }] } }, false],
    ['hosts', { version: '1.0', net: { hosts: { 'a.test': '10.0.0.1' } } }, true],
    ['money', { version: '1.0', budgets: { cost: '$5.25' } }, true],
    ['money without a sign', { version: '1.0', budgets: { cost: '5' } }, false],
    ['a mount', { version: '1.0', mounts: { allow: ['/a:ro'], require: ['/b'] } }, true],
    ['known and refused', { version: '1.0', wasm: {} }, false],
    ['the older name', { version: '1.0', net: { bind: [] } }, false],
  ])('%s', (_, document, expected) => expect(takes(document)).toBe(expected))
})

describe('in step with the loader', () => {
  const STRUCTURE = /^(unknown key|expected .* but found|the key `.*` is missing|`.*` is known but not supported|`.*` is not a version)/
  const problemsOf = (document: unknown): readonly string[] => {
    try {
      loadPolicy(bytesOf(JSON.stringify(document)), 'p.json', { include: () => bytesOf('{"version":"1.0"}') })
      return []
    } catch (error) {
      if (!(error instanceof PolicyLoadError)) throw error
      return error.problems.map(({ message }) => message)
    }
  }
  const agree = (document: unknown): 'loads' | 'structure' | 'meaning' => {
    const problems = problemsOf(document)
    if (problems.length === 0) {
      expect([takes(document), document, validate.errors]).toEqual([true, document, null])
      return 'loads'
    }
    if (!problems.some((message) => STRUCTURE.test(message))) return 'meaning'
    expect([takes(document), document, problems]).toEqual([false, document, problems])
    return 'structure'
  }

  it('every policy the generators make is taken by both', () => {
    fc.assert(
      fc.property(documents, (document) => void expect(agree({ version: '1.0', ...document })).toBe('loads')),
      { numRuns: 100 },
    )
  })

  it('whatever loads is taken, and whatever is wrong in structure is refused', () => {
    const seen = { loads: 0, structure: 0, meaning: 0 }
    const text = fc.constantFrom(
      '/a/**',
      'relative',
      'a.test',
      'dns:a.test:443',
      'ip:10.0.0.1:80',
      't*',
      'python',
      'b.json',
      'HOME',
      '$5',
      '/w:ro',
      '',
    )
    const leaf = fc.oneof(text, fc.integer({ min: -1, max: 9 }), fc.constantFrom(null, true, 1.5))
    const list = fc.oneof({ weight: 5, arbitrary: fc.array(text, { maxLength: 2 }) }, { weight: 1, arbitrary: leaf })
    const lists = fc.dictionary(
      fc.constantFrom('look', 'read', 'write', 'dns', 'connect', 'listen', 'allow', 'require', 'deny', 'ask', 'models'),
      list,
      { maxKeys: 2 },
    )
    const section = fc.oneof({ weight: 6, arbitrary: lists }, { weight: 1, arbitrary: leaf })
    const nested = fc
      .tuple(section, fc.constantFrom('deny', 'ask', 'hosts'), section)
      .map(([outer, key, inner]) => (typeof outer === 'object' && outer !== null ? { ...outer, [key]: inner } : outer))
    const budgets = fc.dictionary(fc.constantFrom('calls', 'cost', 'bytes', 'heap_bytes', 'cost_nano_usd'), leaf, { maxKeys: 2 })
    const whole = fc.record(
      {
        version: fc.oneof({ weight: 9, arbitrary: fc.constant('1.0') }, { weight: 1, arbitrary: leaf }),
        include: list,
        profiles: list,
        fs: fc.oneof(section, nested),
        net: fc.oneof(section, nested),
        tools: section,
        infer: section,
        budgets,
        env: section,
        mounts: section,
        wasm: section,
      },
      { requiredKeys: ['version'] },
    )
    const some = fc
      .tuple(
        whole,
        fc.subarray(['include', 'profiles', 'fs', 'net', 'tools', 'infer', 'budgets', 'env', 'mounts', 'wasm'] as const, { maxLength: 2 }),
      )
      .map(([all, keys]) =>
        Object.fromEntries(Object.entries(all).filter(([key]) => key === 'version' || keys.some((each) => each === key))),
      )
    fc.assert(
      fc.property(some, (document) => {
        seen[agree(document)]++
      }),
      { numRuns: 1500 },
    )
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50)
  })
})
