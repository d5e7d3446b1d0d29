import { AUTHORITY } from '@authority/kernel/effects/net/certificates'
import { expect, test } from 'vitest'
import { fingerprints } from '../runs/gate/fingerprints.ts'
import { parseAuthorities } from './authorities.ts'

const parse = (text: string) => parseAuthorities(Buffer.from(text), 'ca.pem')

test('certificates of a PEM file, with whatever stands around them', () => {
  const found = parse(`# ours\r\n${AUTHORITY}\nsubject=/CN=x\n${AUTHORITY}`)
  expect(found.length).toBe(2)
  expect(fingerprints(found)).toEqual(Array(2).fill(expect.stringMatching(/^[0-9a-f]{64}$/)))
})

test.each([
  ['', 'holds no certificate'],
  ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'certificate 1 of ca.pem cannot be read'],
  [AUTHORITY.repeat(257), 'holds 257 certificates'],
  ['x'.repeat((1 << 20) + 1), 'larger than'],
])('%.40j is refused in words', (text, why) => {
  expect(() => parse(text)).toThrow(why)
})
