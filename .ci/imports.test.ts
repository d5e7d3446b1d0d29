import { describe, expect, test } from 'vitest'
import { importsOf, judgeImport } from './imports.ts'

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
