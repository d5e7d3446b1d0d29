/** Addresses that no name leads to, in every spelling some program takes for one. */
import { loadPolicy } from '../../../policy/index.ts'

export const LOOPBACK = [
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '127.255.255.254',
  '0x7f.1',
  '0x7f.0.0.1',
  '0X7F000001',
  '2130706433',
  '017700000001',
  '0177.0.0.1',
  '127.000.000.001',
  '１２７.0.0.1',
  '127。0。0。1',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '0:0:0:0:0:ffff:7f00:0001',
  '::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '64:ff9b::127.0.0.1',
  '64:ff9b:1::7f00:1',
  '2002:7f00:1::',
  '2001:0:7f00:1::80ff:fffe',
]
export const UNSPECIFIED = ['0', '0.0.0.0', '0x0', '00', '0.1.2.3', '::', '::ffff:0.0.0.0', '[::]']
export const NEVER = [
  '169.254.169.254',
  '2852039166',
  '0xa9fea9fe',
  '0251.0376.0251.0376',
  '169.254.43518',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::',
  '169.254.170.2',
  '169.254.0.1',
  '100.100.100.200',
  '168.63.129.16',
  'fd00:ec2::254',
  'fe80::1',
  '224.0.0.1',
  '239.255.255.250',
  '255.255.255.255',
  '240.0.0.1',
  'ff02::1',
  'fec0::1',
]
export const NON_GLOBAL = [
  '10.0.0.1',
  '10.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '3232235777',
  '100.64.0.1',
  '192.0.0.8',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '::ffff:10.0.0.1',
  'fc00::1',
  'fd12:3456::1',
  '2001:db8::1',
  '2002:a00:1::',
  '64:ff9b::a00:1',
  '2001:0:1:2:3:4:5:6',
]

const V6_RANGES = [
  '2001::/32',
  '2002::/32',
  'fc00::/32',
  'fd00::/32',
  'fe80::/32',
  '64:ff9b::/32',
  '::/32',
  '::/96',
  'fec0::/32',
  'ff02::/32',
]

/** The widest policy that loads: whatever is refused under it, an address refuses. */
export const WIDEST = [
  ...Array.from({ length: 224 }, (_, i) => `ip:${i}.0.0.0/8:*`),
  ...V6_RANGES.map((range) => `ip:[${range}]:*`),
].filter(loads)

export function loads(rule: string): boolean {
  try {
    loadPolicy(new TextEncoder().encode(JSON.stringify({ version: '1.0', net: { connect: [rule] } })), 'policy.json')
    return true
  } catch {
    return false
  }
}
