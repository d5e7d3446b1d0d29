import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  classify,
  embedded,
  formatAddress,
  formatCidr,
  mayBeOpened,
  PatternError,
  parseAddress,
  parseCidr,
  parseIpv4,
  parseIpv6,
  unmapped,
} from './index.ts'

function address(text: string) {
  const parsed = parseAddress(text)
  if (parsed === null) throw new Error(`${text} does not parse`)
  return parsed
}

describe('address text', () => {
  it.each(['1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1.2.3.-4', '1.2.3.4 ', '0x7f.0.0.1', '1..2.3', '', '１.2.3.4'])(
    'IPv4 refuses %j',
    (text) => {
      expect(parseIpv4(text)).toBeNull()
    },
  )

  it.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'fe80::1%eth0',
    '::1.2.3',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '1:2:3:4:5:6:7::8:9',
    '::g',
    '[::1]',
    '1:2:3:4:5:6:7:8::',
  ])('IPv6 refuses %j', (text) => {
    expect(parseIpv6(text)).toBeNull()
  })

  it.each([
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['1::2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['0001:0002::', '1:2::'],
    ['255.255.255.255', '255.255.255.255'],
  ])('%s is written %s', (text, canonical) => {
    expect(formatAddress(address(text))).toBe(canonical)
  })

  it('reads back what it wrote', () => {
    const widths = [
      [6, (1n << 128n) - 1n],
      [4, 0xffffffffn],
    ] as const
    for (const [family, max] of widths) {
      fc.assert(
        fc.property(fc.bigInt({ min: 0n, max }), (value) => {
          expect(parseAddress(formatAddress({ family, value }))).toEqual({ family, value })
        }),
      )
    }
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV6(), (four, six) => {
        expect(formatAddress(address(four))).toBe(four)
        expect(parseIpv6(six)).not.toBeNull()
      }),
    )
  })
})

describe('what an address is for', () => {
  it.each([
    ['8.8.8.8', 'global'],
    ['9.255.255.255', 'global'],
    ['11.0.0.0', 'global'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['10.1.2.3', 'private'],
    ['172.15.255.255', 'global'],
    ['172.16.0.0', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'global'],
    ['192.168.255.255', 'private'],
    ['100.64.0.1', 'cgnat'],
    ['100.127.255.255', 'cgnat'],
    ['100.128.0.0', 'global'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['169.254.169.254', 'metadata'],
    ['169.254.0.1', 'link-local'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['192.0.2.1', 'special'],
    ['198.18.0.1', 'special'],
    ['198.19.255.255', 'special'],
    ['224.0.0.1', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::2', 'reserved'],
    ['::127.0.0.1', 'reserved'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['::ffff:8.8.8.8', 'global'],
    ['::ffff:0:127.0.0.1', 'reserved'],
    ['64:ff9b::8.8.8.8', 'translated'],
    ['64:ff9b:1::1', 'translated'],
    ['2002:7f00:1::', 'translated'],
    ['2001::1', 'translated'],
    ['2001:4860:4860::8888', 'global'],
    ['2001:db8::1', 'special'],
    ['fd12:3456::1', 'ula'],
    ['fd00:ec2::254', 'metadata'],
    ['fe80::1', 'link-local'],
    ['febf::1', 'link-local'],
    ['fec0::1', 'reserved'],
    ['ff02::1', 'multicast'],
    ['4000::1', 'reserved'],
  ])('%s is %s', (text, kind) => {
    expect(classify(address(text))).toBe(kind)
  })

  it.each([
    ['64:ff9b::169.254.169.254', '169.254.169.254'],
    ['2002:a9fe:a9fe::', '169.254.169.254'],
    ['2001:0:1:2:3:4:5601:5601', '169.254.169.254'],
    ['64:ff9b:1::127.0.0.1', '127.0.0.1'],
  ])('%s is carried to %s and stays closed', (text, inner) => {
    const found = embedded(address(text))
    expect(found === null ? null : formatAddress(found)).toBe(inner)
    expect(mayBeOpened(address(text))).toBe(false)
  })

  it('opens a translated address only when it is carried to a global one', () => {
    expect(mayBeOpened(address('64:ff9b::8.8.8.8'))).toBe(true)
    expect(mayBeOpened(address('64:ff9b::10.0.0.1'))).toBe(false)
  })

  it('classifies a mapped address as the one it holds', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 0xffffffffn }), (value) => {
        const mapped = { family: 6 as const, value: (0xffffn << 32n) | value }
        expect(unmapped(mapped)).toEqual({ family: 4, value })
        expect(classify(mapped)).toBe(classify({ family: 4, value }))
      }),
    )
  })
})

describe('ranges', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.0.0.1/32', '10.0.0.1'],
    ['fd00::/8', 'fd00::/8'],
    ['::1', '::1'],
  ])('%s is %s', (text, canonical) => expect(formatCidr(parseCidr(text))).toBe(canonical))

  it.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/',
    'fd00::/129',
    'example.com/8',
    '::ffff:10.0.0.0/104',
    '::ffff:10.0.0.1',
  ])('refuses %s', (text) => {
    expect(() => parseCidr(text)).toThrow(PatternError)
  })
})
