/**
 * What an agent may try with the compiled gate, in a network of its own with a server at each forbidden address: their own logs are the witness. The same by
 * names whose answers change: network-rebinding.test.ts; by a guest's own init: hostile-guest.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Found } from './network-guest/attacks-process.ts'
import { inPrivateNetwork } from './network-guest/private-network.ts'
import { buildBinary } from './programs-guest/differential-run.ts'
import { freshFolder, removeFolder } from './vm-support.ts'

/** MiB the gate may take: as in hostile-guest.test.ts, and 36 KiB for each of the 4,000 connections that wait at once (LIMITS.md). */
const MAX_GATE_MIB = 224 + (4000 * 36) / 1024

const folder = freshFolder('network-attacks-')
let found: Found
beforeAll(async () => {
  await buildBinary()
  found = inPrivateNetwork<Found>('attacks-process.ts', folder)
}, 300_000)
afterAll(() => removeFolder(folder))

test('nobody came to a forbidden server, by anything below', () => {
  expect(Object.keys(found.forbidden).length).toBeGreaterThan(8)
  expect(Object.entries(found.forbidden).filter(([, log]) => log.length > 0)).toEqual([])
})

test('no spelling of a forbidden address is taken for another: dialled or fetched, under an ordinary policy and under the widest', () => {
  expect([found.spelled, found.spelledWide]).toEqual([[], []])
})

test('redirects to what no rule allows end in an error, straight and over three hops', () => {
  expect(Object.keys(found.redirects).length).toBeGreaterThan(40)
  expect(Object.entries(found.redirects).filter(([, outcome]) => !/^E_(POLICY_DENY|UPSTREAM)$/.test(outcome))).toEqual([])
})

test('a proxy that the environment of the gate names hears nothing', () => {
  expect([found.proxyFetch, found.proxied]).toEqual(['answered', []])
})

test('hosts at one address are asked over connections of their own; a second request for somebody else goes nowhere but to the host that was dialled', () => {
  expect(found.fetchedHosts.length).toBe(5)
  for (const hosts of found.fetchedHosts) expect(hosts.length).toBe(1)
  expect(found.ownConnection).toBe('2')
})

describe('a port of TLS', () => {
  test('carries a hello for the granted name', () => {
    expect(found.hellos['the right one']).toBe('greeting end')
    expect(found.toTls).toBe(found.rightHello)
  })

  test('carries no other name, none, two, ECH behind another name, and nothing that is not TLS: the server saw not a byte', () => {
    const others = Object.entries(found.hellos).filter(([what]) => what !== 'the right one')
    expect(others.length).toBe(11)
    // Its greeting stands before the code where it was passed on.
    expect(others.filter(([, heard]) => heard !== 'E_POLICY_DENY')).toEqual([])
  })
})

test('2,000 names with data in them, looked up by packet and by operation: the DNS server is asked nothing', () => {
  expect([found.lookups, found.askedInLookups]).toEqual([2000, []])
})

describe('floods', () => {
  test('10,000 dials that no rule allows: each refused', () => {
    expect(found.refusedDials).toEqual({ E_POLICY_DENY: 10_000 })
  })

  test('a server that never reads: whoever sends it more than its credit is sent away, and others go on', () => {
    expect(found.deaf.meanwhile).toBe('answered')
    // A socket closed over what was not read loses its last words, goodbye included, where the flood was quicker than they.
    expect(['E_PROTOCOL', 'gone']).toContain(found.deaf.ended)
  })

  test('4,000 dials of a server that takes nobody: another connection goes on, the bound holds, each ends, and there is room again', () => {
    const { meanwhile, beyond, answers, after } = found.pending
    expect([meanwhile, beyond, after]).toEqual(['answered', 'E_RATE_LIMIT', 'answered'])
    const { answered = 0, E_TIMEOUT = 0, ...others } = answers
    expect([answered + E_TIMEOUT, others]).toEqual([4000, {}])
    expect(E_TIMEOUT).toBeGreaterThan(3000)
  })

  test('the gate stays within its bound of memory, and its log verifies', () => {
    expect(found.peakMib).toBeLessThan(MAX_GATE_MIB)
    expect(found.verified).toBe(0)
  })
})
