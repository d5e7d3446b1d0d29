import { expect, test } from 'vitest'
import { fixedFolder } from './scratch.ts'

test.each([
  ['/tmp/**', '/tmp'],
  ['/out/report.md', '/out'],
  ['/data/x*/y', '/data'],
  ['/a/b/{c,d}', '/a/b'],
  ['/file', null],
  ['/**', null],
])('the folder of %s is %s', (pattern, folder) => expect(fixedFolder(pattern)).toBe(folder))
