import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAddress, isCanonicalName, isPublicSuffix, matchHostPattern, normalizeHost, PatternError, parseHostPattern } from './index.ts'

function spelled(text: string): string {
  const host = normalizeHost(text)
  if (host.kind === 'error') return 'error'
  return host.kind === 'name' ? host.name : formatAddress(host.address)
}

describe('one spelling of a host', () => {
  it.each([
    ['Example.COM', 'example.com'],
    ['example.com.', 'example.com'],
    ['bücher.de', 'xn--bcher-kva.de'],
    ['BÜCHER.de', 'xn--bcher-kva.de'],
    ['bu\u0308cher.de', 'xn--bcher-kva.de'],
    ['xn--bcher-kva.de', 'xn--bcher-kva.de'],
    ['example。com', 'example.com'],
    ['ｅｘａｍｐｌｅ.com', 'example.com'],
    ['exam\u00adple.com', 'example.com'],
    ['_dmarc.example.com', '_dmarc.example.com'],
    ['127.0.0.1', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['0x7F000001', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['0177.0.0.1', '127.0.0.1'],
    ['017700000001', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['１２７.0.0.1', '127.0.0.1'],
    ['0', '0.0.0.0'],
    ['[::1]', '::1'],
    ['::1', '::1'],
    ['[::ffff:7f00:1]', '127.0.0.1'],
    ['::FFFF:127.0.0.1', '127.0.0.1'],
    ['[0:0:0:0:0:0:0:1]', '::1'],
    ['', 'error'],
    ['.', 'error'],
    ['..', 'error'],
    ['example..com', 'error'],
    ['.example.com', 'error'],
    ['example.com..', 'error'],
    ['user@example.com', 'error'],
    ['user:pw@example.com', 'error'],
    ['example.com:80', 'error'],
    ['example.com\\@evil.com', 'error'],
    ['example.com/evil', 'error'],
    ['example.com#evil', 'error'],
    ['example.com?evil', 'error'],
    ['exam%70le.com', 'error'],
    ['exam ple.com', 'error'],
    ['exam\tple.com', 'error'],
    ['example.com\n', 'error'],
    ['example.com\u0000', 'error'],
    ['*.example.com', 'error'],
    ['[fe80::1%25eth0]', 'error'],
    ['[127.0.0.1]', 'error'],
    ['127.0.0.256', 'error'],
    ['1.2.3.4.5', 'error'],
    ['example.0x', 'error'],
    ['xn--a', 'error'],
    [`${'a'.repeat(64)}.com`, 'error'],
    [`${'a.'.repeat(130)}com`, 'error'],
  ])('%j is %s', (text, expected) => expect(spelled(text)).toBe(expected))

  it('gives every name a spelling that is its own spelling', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string({ unit: 'grapheme', maxLength: 30 })), (text) => {
        const host = normalizeHost(text)
        if (host.kind !== 'name') return
        expect(isCanonicalName(host.name)).toBe(true)
        expect(normalizeHost(host.name)).toEqual(host)
      }),
      { numRuns: 1000 },
    )
  })

  it('keeps look-alikes apart', () => {
    const real = parseHostPattern('paypal.com')
    expect(matchHostPattern(real, spelled('pаypal.com'))).toBe(false)
    expect(matchHostPattern(real, spelled('PayPal.com'))).toBe(true)
  })
})

describe('host patterns', () => {
  it.each([
    ['example.com', 'example.com', true],
    ['example.com', 'a.example.com', false],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'a.b.example.com', true],
    ['*.example.com', 'badexample.com', false],
    ['*.example.com', 'example.com.evil.org', false],
    ['*.Bücher.de', 'a.xn--bcher-kva.de', true],
    ['*', 'anything.at.all', true],
  ])('%s on %s: %s', (pattern, name, expected) => expect(matchHostPattern(parseHostPattern(pattern), name)).toBe(expected))

  it.each([
    '*.com',
    '*.co.uk',
    '*.github.io',
    '*.s3.amazonaws.com',
    '*.internal',
    '*.xn--p1ai',
    '*.рф',
    '*.COM.',
    '*.compute.amazonaws.com',
    '*.kawasaki.jp',
  ])('refuses the public suffix %s', (text) => {
    expect(() => parseHostPattern(text)).toThrow(/public suffix/)
    expect(() => parseHostPattern(text, { publicSuffix: 'accept' })).not.toThrow()
  })

  it.each([
    '',
    '*.',
    'a.*',
    'a*.example.com',
    '*.*.example.com',
    '**.example.com',
    '*example.com',
    '10.0.0.1',
    '*.1.2.3',
    '::1',
    'http://example.com',
  ])('refuses %j', (text) => {
    expect(() => parseHostPattern(text)).toThrow(PatternError)
  })

  it('knows what a public suffix is', () => {
    expect(['com', 'co.uk', 'github.io', 'localhost'].map(isPublicSuffix)).toEqual([true, true, true, true])
    expect(['example.com', 'example.co.uk', 'me.github.io', 'svc.cluster.local'].map(isPublicSuffix)).toEqual([false, false, false, false])
  })
})
