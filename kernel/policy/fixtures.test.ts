import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { jsonSchema, loadPolicy, PolicyLoadError } from './index.ts'

const FOLDER = join(import.meta.dirname, '../../fixtures/policies')

describe('policies that load', () => {
  it.each(readdirSync(join(FOLDER, 'valid')))('%s', (name) => {
    expect(() => loadPolicy(readFileSync(join(FOLDER, 'valid', name)), name)).not.toThrow()
  })
})

describe('policies that are refused, word for word', () => {
  const expected: Record<string, string[]> = JSON.parse(readFileSync(join(FOLDER, 'refused/expected.json'), 'utf8'))
  const files = readdirSync(join(FOLDER, 'refused')).filter((name) => name !== 'expected.json')
  it('are all expected', () => expect(files.toSorted()).toEqual(Object.keys(expected).toSorted()))
  it.each(files)('%s', (name) => {
    let message = 'it loaded'
    try {
      loadPolicy(readFileSync(join(FOLDER, 'refused', name)), name)
    } catch (error) {
      if (!(error instanceof PolicyLoadError)) throw error
      message = error.message
    }
    expect(message.split('\n')).toEqual(expected[name]?.map((problem) => `${name}:${problem}`))
  })
})

describe('policy.schema.json', () => {
  it('is what schema.ts declares (bun kernel/policy/write-schema.ts)', () => {
    expect(JSON.parse(readFileSync(join(import.meta.dirname, 'policy.schema.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(jsonSchema())),
    )
  })
})
