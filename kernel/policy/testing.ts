/** Only for tests: a policy from an object. */
import { loadPolicy } from './load.ts'
import type { LoadedPolicy, LoadOptions } from './stage.ts'

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function policyFrom(document: Record<string, unknown>, options: LoadOptions = {}): LoadedPolicy {
  return loadPolicy(bytesOf(JSON.stringify({ version: '1.0', ...document })), 'test.json', options)
}
