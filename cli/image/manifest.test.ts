import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ImageError } from './errors.ts'
import { type Manifest, manifestText, parseManifest } from './manifest.ts'

const GOOD: Manifest = {
  version: 1,
  name: 'app',
  arch: 'aarch64',
  kind: 'python',
  argv: ['/usr/bin/python3', '/app'],
  env: { A: '1' },
  cwd: '/app',
  profiles: ['python'],
  layers: [{ name: 'app', digest: 'ab' }],
  packages: ['libc6=2.36'],
  authority: '0.1.0',
}

test('what is written is read back', () => {
  expect(parseManifest(Buffer.from(manifestText(GOOD)))).toEqual(GOOD)
})

test.each([
  ['argv', []],
  ['argv', ['relative']],
  ['argv', ['/a', 'nul\0']],
  ['arch', 'riscv64'],
  ['kind', 'shell'],
  ['env', { 'A=B': '1' }],
  ['env', { A: 1 }],
  ['cwd', 'app'],
  ['layers', [{ name: 'x' }]],
  ['profiles', 'python'],
  ['packages', [1]],
  ['extra', 1],
])('%s = %j is refused', (key, value) => {
  expect(() => parseManifest(Buffer.from(JSON.stringify({ ...GOOD, [key]: value })))).toThrow(ImageError)
})

test('a newer version says so; anything else is an ImageError', () => {
  expect(() => parseManifest(Buffer.from(JSON.stringify({ ...GOOD, version: 2 })))).toThrow(/manifest version 2/)
  for (const missing of Object.keys(GOOD))
    expect(() => parseManifest(Buffer.from(JSON.stringify({ ...GOOD, [missing]: undefined })))).toThrow(ImageError)
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1')),
      ),
      (text) => {
        expect(() => parseManifest(Buffer.from(text))).toThrow(ImageError)
      },
    ),
  )
})
