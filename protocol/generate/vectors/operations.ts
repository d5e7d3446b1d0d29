import { encode } from '../../src/encode.ts'
import { OPERATIONS, type OperationRow } from '../../src/operations.ts'
import type { Field } from '../../src/schema.ts'
import { hex, toJson, vectorFile } from './json.ts'
import { refusals, sample } from './samples.ts'

const ROWS = Object.entries(OPERATIONS) as readonly (readonly [string, OperationRow])[]

/** For each operation, arguments and results its declaration accepts. `hex` is the array as it stands in REQUEST and RESULT. */
export function operationVectors(): string {
  return vectorFile(
    'Arguments and results that match the declaration of their operation.',
    ROWS.map(([operation, row]) => {
      const args = row.args.map(sample)
      const result = row.result.map(sample)
      return {
        operation,
        code: row.code,
        args: toJson(args),
        argsHex: hex(encode(args)),
        result: toJson(result),
        resultHex: hex(encode(result)),
      }
    }),
  )
}

export function malformedOperationVectors(): string {
  return vectorFile('Arguments the declaration of their operation refuses: the request is answered with this error, the session goes on.', [
    ...ROWS.flatMap(([operation, row]) => malformed(operation, row.args)),
  ])
}

function malformed(operation: string, fields: readonly Field[]): readonly object[] {
  const good = fields.map(sample)
  const vector = (args: typeof good, why: string): object => ({ operation, args: toJson(args), why, error: 'E_PROTOCOL' })
  const vectors = [vector([...good, null], 'one argument too many')]
  if (good.length > 0) vectors.push(vector(good.slice(0, -1), 'one argument too few'))
  for (const [i, field] of fields.entries()) {
    for (const [bad, why] of refusals(field.type)) vectors.push(vector(good.with(i, bad), `${field.name}: ${why}`))
  }
  return vectors
}
