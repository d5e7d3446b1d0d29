import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadPolicy } from '@authority/kernel/policy'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { includeFrom, loadPolicyFiles, type PolicyFiles } from './policy-files.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'policy-files-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const load = (name: string): PolicyFiles => {
  const bytes = Buffer.from(JSON.stringify({ version: '1.0', include: [name] }))
  return loadPolicyFiles(bytes, join(folder, 'policy.json'), 'policy.json', {})
}

describe('included policy files', () => {
  it('are read beside the policy, once, and load again from what was read', () => {
    writeFileSync(join(folder, 'base.json'), '{"version":"1.0","fs":{"read":["/a"]}}')
    const { loaded, bytes, includes, paths } = load('base.json')
    expect(paths).toEqual([join(folder, 'base.json')])
    rmSync(join(folder, 'base.json'))
    const again = loadPolicy(bytes, 'policy.json', { include: includeFrom(includes) })
    expect(again.id).toBe(loaded.id)
    expect(again.decide({ action: 'fs.read', object: '/a' }).allow).toBe(true)
  })

  it('are never followed out of the folder, and never anything but plain files', () => {
    writeFileSync(join(folder, 'real.json'), '{"version":"1.0"}')
    symlinkSync('real.json', join(folder, 'link.json'))
    mkdirSync(join(folder, 'folder.json'))
    expect(() => load('link.json')).toThrow('`link.json` cannot be read: it is a symbolic link')
    expect(() => load('folder.json')).toThrow('it is not a plain file')
    expect(() => load('none.json')).toThrow('cannot be read: there is no such file')
  })
})
