import { describe, expect, test } from 'vitest'
import { ERROR_CODES, type ErrorCodeRow } from '../src/errors.ts'
import { GENERATION } from '../src/limits.ts'
import { MESSAGES } from '../src/message-schema.ts'
import { OPERATIONS, type OperationRow } from '../src/operations.ts'
import { readRepository } from '../testing/vectors.ts'
import { outputs, VECTORS } from './outputs.ts'
import { spec } from './spec.ts'

describe('generated files', () => {
  test.each(outputs(readRepository).map((output) => [output.path, output.state] as const))(
    '%s follows from the declarations',
    (_, state) => {
      // Stale: run `bun protocol/generate.ts`. Frozen: a released generation may not change.
      expect(state).toBe('fresh')
    },
  )

  test('a changed generation is frozen, not renewed', () => {
    const path = `${VECTORS}/generation-1.json`
    const changed = outputs((name) => (name === path ? '{}' : readRepository(name)))
    expect(changed.find((output) => output.path === path)?.state).toBe('frozen')
  })

  test('a stale file is noticed', () => {
    const states = outputs((name) => (name === 'protocol/protocol.cddl' ? 'old' : readRepository(name))).filter(
      (output) => output.state !== 'fresh',
    )
    expect(states.map((output) => output.path)).toEqual(['protocol/protocol.cddl'])
  })

  test('a marker nothing generates, or a section without a marker, is an error', () => {
    expect(() => spec('<!-- generated: nonsense -->\n<!-- end -->')).toThrow('nonsense')
    expect(() => spec('no markers')).toThrow('no marker for')
  })

  test('nothing is declared for a generation that does not exist yet', () => {
    const rows = [...Object.values(OPERATIONS), ...Object.values(MESSAGES)] as readonly (Partial<OperationRow> & {
      readonly since?: number
    })[]
    const fields = rows.flatMap((row) => [
      ...(row.args ?? []),
      ...(row.result ?? []),
      ...('fields' in row ? (row.fields as readonly { since?: number }[]) : []),
    ])
    const errors: readonly ErrorCodeRow[] = Object.values(ERROR_CODES)
    for (const declared of [...rows, ...fields, ...errors]) expect(declared.since ?? 1).toBeLessThanOrEqual(GENERATION)
  })
})
