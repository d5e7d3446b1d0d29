import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '../client.ts'

/** The calls of fixtures/sdk/*.json, one list for both SDKs. */
export interface Step {
  readonly name?: string
  /** What is called: the client, or what an earlier step stored under this name. */
  readonly on?: string
  /** Method, with the part of the client before it: `fs.readFile`. */
  readonly call: string
  readonly args?: readonly Json[]
  readonly options?: { readonly [key: string]: Json }
  /** A method of the result, called at once. */
  readonly then?: string
  /** Name to store the result under. */
  readonly as?: string
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const ROOT = join(import.meta.dirname, '../../../..')

export function fixture<T>(path: string): T {
  return JSON.parse(readFileSync(join(ROOT, 'fixtures', path), 'utf8')) as T
}

/** Performs one step; `stored` holds `client` and what `as` named. */
export async function play(step: Step, stored: Map<string, unknown>): Promise<unknown> {
  const path = step.call.split('.')
  let target = stored.get(step.on ?? 'client')
  for (const part of path.slice(0, -1)) target = (target as Record<string, unknown>)[part]
  const args = (step.args ?? []).map((value) => revive(value, stored))
  if (step.options !== undefined) args.push(revive(step.options, stored))
  let value = await invoke(target, path.at(-1) ?? '', args)
  if (step.then !== undefined) value = await invoke(value, step.then, [])
  if (step.as !== undefined) stored.set(step.as, value)
  return value
}

export function clientIn(stored: ReadonlyMap<string, unknown>): Client {
  return stored.get('client') as Client
}

async function invoke(target: unknown, method: string, args: readonly unknown[]): Promise<unknown> {
  return (target as Record<string, (...args: readonly unknown[]) => unknown>)[method]?.(...args)
}

/** `{"bytes": hex}`, `{"text": "ab", "times": n}`, `{"parts": [one, after, the, other]}` and `{"stored": name}` as what they stand for. */
export function revive(value: Json, stored: ReadonlyMap<string, unknown>): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((each) => revive(each, stored))
  const object = value as { readonly [key: string]: Json }
  if (typeof object.bytes === 'string') return new Uint8Array(Buffer.from(object.bytes, 'hex'))
  if (typeof object.zeros === 'number') return new Uint8Array(object.zeros)
  if (typeof object.text === 'string' && typeof object.times === 'number') return object.text.repeat(object.times)
  if (Array.isArray(object.parts)) return oneByOne(object.parts.map((part) => revive(part, stored)))
  if (typeof object.stored === 'string') return stored.get(object.stored)
  return Object.fromEntries(Object.entries(object).map(([key, each]) => [key, revive(each, stored)]))
}

async function* oneByOne(parts: readonly unknown[]): AsyncGenerator<unknown> {
  yield* parts
}
