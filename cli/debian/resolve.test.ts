import { AuthorityError } from '@authority/protocol'
import { describe, expect, test } from 'vitest'
import { assumedInstalled, parsePrintUris } from './resolve.ts'

describe('apt’s answers', () => {
  test('resolved packages, sorted, epochs decoded', () => {
    const text = `NOTE: something\n'http://mirror/zlib1g_1.2_amd64.deb' zlib1g_1%3a1.2.13_amd64.deb 86684 MD5Sum:ab\n'http://mirror/a.deb' ca-certificates_20250419~deb12u2_all.deb 157000 \n`
    expect(parsePrintUris(text)).toEqual([
      { name: 'ca-certificates', version: '20250419~deb12u2', size: 157_000, file: 'ca-certificates_20250419~deb12u2_all.deb' },
      { name: 'zlib1g', version: '1:1.2.13', size: 86_684, file: 'zlib1g_1%3a1.2.13_amd64.deb' },
    ])
  })

  test.each([
    "'http://m/x' ../../etc/passwd_1_all.deb 5 SHA256:ab",
    "'http://m/x' UPPER_1_all.deb 5",
    "'http://m/x' a_1_all.deb many",
    "'http://m/x' a_1_all.rpm 5",
  ])('%s is refused', (line) => {
    expect(() => parsePrintUris(line)).toThrow(AuthorityError)
  })

  test('a set larger than a layer may be is refused', () => {
    expect(() => parsePrintUris("'http://m/x' a_1_all.deb 99999999999 SHA256:ab")).toThrow(/more than a layer/)
  })

  test('the assumed package database has one well-formed stanza per package', () => {
    const stanzas = assumedInstalled('arm64').split('\n\n')
    expect(stanzas.length).toBeGreaterThan(5)
    for (const stanza of stanzas)
      expect(stanza).toMatch(/^Package: [a-z0-9-]+\nStatus: install ok installed\n(?:[A-Za-z-]+: .+\n)*Architecture: arm64\n/)
  })
})
