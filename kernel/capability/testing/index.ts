import type { Question } from '../../vocabulary/index.ts'
import { bunMac } from '../mac-bun.ts'
import { patternRules } from '../pattern-rules.ts'
import { type CapabilityOptions, createCapabilityStage } from '../stage.ts'
import type { Grants } from '../types.ts'

/** For tests: a stage with a clock one can turn and randomness that repeats. */
export const RUN = '000102030405060708090a0b0c0d0e0f'
export const INSTALLATION = 'test-installation'
export const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i * 7)
/** 2026-01-01T00:00:00Z. */
export const NOW = 1_767_225_600_000

export const GRANTS: Grants = {
  fs: { read: ['/work/**'], write: ['/work/out/**'] },
  net: { connect: ['dns:api.example.com:443'] },
  tools: ['search'],
}

export const read = (object: string): Question => ({ action: 'fs.read', object })
export const write = (object: string): Question => ({ action: 'fs.write', object })

export function turnableClock() {
  let wall = NOW
  let monotonic = 1000
  return {
    wallMs: () => wall,
    monotonicMs: () => monotonic,
    /** Both clocks, as time does. */
    pass: (ms: number) => {
      wall += ms
      monotonic += ms
    },
    /** The wall clock alone, as an operator does. */
    setWall: (ms: number) => {
      wall = ms
    },
  }
}

export function countingRandom(seed = 0) {
  let next = seed
  return (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, () => next++ & 0xff)
}

export function testStage(options: Partial<CapabilityOptions> = {}) {
  const clock = turnableClock()
  const declared = new Map<string, unknown>()
  const stage = createCapabilityStage({
    run: RUN,
    installation: INSTALLATION,
    grants: GRANTS,
    compile: patternRules,
    clock,
    random: countingRandom(),
    mac: bunMac,
    secret: SECRET,
    declareBudget: (account, limits) => declared.set(account, limits),
    ...options,
  })
  return { stage, clock, declared }
}

/** The code a refusal carries, or `accepted`. */
export function codeOf(act: () => unknown): string {
  try {
    act()
    return 'accepted'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : `not an AuthorityError: ${String(error)}`
  }
}
