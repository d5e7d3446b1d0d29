import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GoldenCase, loadCases, Sandbox } from './golden-case.ts'

/** Every case of fixtures/cli against the compiled program: new cases need no code here. */
const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')

let sandbox: Sandbox
beforeEach(() => {
  expect(existsSync(BINARY), 'dist/authority is built by `npm run build`').toBe(true)
  sandbox = new Sandbox(BINARY)
})
afterEach(() => sandbox.clean())

for (const { file, cases } of loadCases(join(ROOT, 'fixtures/cli'))) {
  describe(file, () => {
    test('has cases with names of their own', () => {
      expect(cases.length).toBeGreaterThan(0)
      expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length)
    })
    for (const golden of cases) test(golden.name, () => check(golden))
  })
}

function check(golden: GoldenCase): void {
  sandbox.write(golden.files ?? {})
  for (const step of golden.before ?? []) sandbox.step(step)
  const { exit, stdout, stderr } = sandbox.run(golden.args, golden)
  expectText(stdout, golden.stdout ?? '', 'stdout')
  expectText(stderr, golden.stderr ?? '', 'stderr')
  expect(exit, `exit code; stderr was ${stderr}`).toBe(golden.exit)
  if (!golden.args.includes('--debug')) expect(stderr, 'a stack trace').not.toMatch(/^\s+at .*[:(]/m)
  for (const path of golden.absent ?? []) expect(sandbox.has(path), `${path} should not be there`).toBe(false)
  for (const path of golden.present ?? []) expect(sandbox.has(path), `${path} should be there`).toBe(true)
}

function expectText(actual: string, expected: NonNullable<GoldenCase['stdout']>, stream: string): void {
  if (typeof expected === 'string') {
    expect(actual, stream).toBe(expected)
    return
  }
  for (const part of expected.contains ?? []) expect(actual, stream).toContain(part)
  for (const part of expected.lacks ?? []) expect(actual, stream).not.toContain(part)
  if (expected.matches !== undefined) expect(actual, stream).toMatch(new RegExp(expected.matches, 's'))
  if (expected.json !== undefined) expect(JSON.parse(actual), stream).toMatchObject(expected.json as object)
}
