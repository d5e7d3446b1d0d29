import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findViolations, importsOf, judgeImport } from './imports.ts'

describe('imports point one way', () => {
  test.each([
    ['protocol/src/a.ts', '@authority/kernel/gate'],
    ['kernel/gate/a.ts', '@authority/cli'],
    ['sdks/typescript/src/a.ts', '@authority/kernel/gate'],
    ['kernel/policy/a.ts', '../audit/writer.ts'],
    ['cli/image/a.ts', '../commands/run.ts'],
    ['kernel/a/b.ts', '../../protocol/src/x.ts'],
    ['kernel/effects/net/x.ts', 'undici'],
  ])('%s must not import %s', (file, specifier) => expect(judgeImport(file, specifier)).not.toBeNull())

  test.each([
    ['kernel/gate/a.ts', '../audit/types.ts'],
    ['kernel/gate/a.ts', '@authority/protocol'],
    ['kernel/effects/fs/a.ts', '../contract.ts'],
    ['kernel/effects/fs/fuse/a.ts', '../mounts.ts'],
    ['cli/commands/run.ts', '../runs/start.ts'],
    ['kernel/effects/net/x.ts', 'undici/index.js'],
  ])('%s may import %s', (file, specifier) => expect(judgeImport(file, specifier)).toBeNull())

  test('a file that breaks a rule is found in every folder', async () => {
    const root = mkdtempSync(join(tmpdir(), 'authority-imports-'))
    const files = ['protocol/a.ts', 'kernel/b/a.ts', 'cli/image/a.ts', 'sdks/typescript/src/a.ts', 'benchmarks/a.ts']
    for (const file of files) {
      mkdirSync(join(root, file, '..'), { recursive: true })
      writeFileSync(join(root, file), "import { x } from 'undici'\n")
    }
    const found = await findViolations(root)
    rmSync(root, { recursive: true })
    expect(found.map(({ file }) => file).sort()).toEqual(files.sort())
  })

  test('every form of import is seen', () => {
    const source =
      "import { a } from 'one'\nexport * from 'two'\nconst b = await import('three')\nimport 'four'\nimport {\n  c,\n} from 'five'\n"
    expect(
      importsOf(source)
        .map((found) => found.specifier)
        .sort(),
    ).toEqual(['five', 'four', 'one', 'three', 'two'])
  })
})
