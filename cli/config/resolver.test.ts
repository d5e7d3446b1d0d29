import { resolverTexts } from '@authority/kernel/effects/net/resolver-choice'
import { describe, expect, test } from 'vitest'
import { parseResolver } from './resolver.ts'

describe('the resolver an operator chooses', () => {
  test.each([
    [[], ['system']],
    [['system'], ['system']],
    [['9.9.9.9'], ['9.9.9.9']],
    [
      ['9.9.9.9:53', '127.0.0.1:5353'],
      ['9.9.9.9', '127.0.0.1:5353'],
    ],
    [['2620:fe::fe'], ['2620:fe::fe']],
    [['[2620:fe::fe]:5353'], ['[2620:fe::fe]:5353']],
    [['https://dns.example/dns-query=192.0.2.1'], ['https://dns.example/dns-query=192.0.2.1']],
    [['https://dns.example:8443/q?x=1=[2001:db8::1]'], ['https://dns.example:8443/q?x=1=2001:db8::1']],
    [['https://192.0.2.1/dns-query'], ['https://192.0.2.1/dns-query=192.0.2.1']],
  ])('%j', (given, texts) => {
    const choice = parseResolver(given)
    expect(resolverTexts(choice)).toEqual(texts)
    // What is shown can be given again and means the same.
    expect(parseResolver(resolverTexts(choice))).toEqual(choice)
  })

  test.each([
    [['dns.example']],
    [['9.9.9.9:0']],
    [['9.9.9.9:65536']],
    [['[9.9.9.9]:53']],
    [['9.9.9.9/24']],
    [['http://dns.example/=192.0.2.1']],
    [['https://dns.example/dns-query']],
    [['https://user@dns.example/=192.0.2.1']],
    [['https://dns.example/#x=192.0.2.1']],
    [['system', '9.9.9.9']],
    [['9.9.9.9', 'https://192.0.2.1/']],
    [['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4', '1.1.1.5']],
    [['']],
  ])('%j is refused with what would do', (given) => {
    expect(() => parseResolver(given)).toThrow(expect.objectContaining({ code: 'E_CONFLICT', hint: expect.any(String) }))
  })
})
