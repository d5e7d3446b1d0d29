import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AuthorityError, AuthorityError as Failure } from '../src/errors.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The text of a file of the repository, or undefined when it is absent. */
export function readRepository(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8')
  } catch {
    return undefined
  }
}

/** The vectors of one file in fixtures/vectors/protocol. */
export function vectors<T>(file: string): readonly T[] {
  const text = readRepository(`fixtures/vectors/protocol/${file}`)
  if (text === undefined) throw new Error(`fixtures/vectors/protocol/${file} is missing: bun protocol/generate.ts`)
  return (JSON.parse(text) as { readonly vectors: readonly T[] }).vectors
}

/** The AuthorityError the call throws; fails when it throws nothing or anything else. */
export function failureOf(call: () => unknown): AuthorityError {
  try {
    call()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
