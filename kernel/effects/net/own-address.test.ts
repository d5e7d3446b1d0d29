import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { isOwnAddress } from './own-address.ts'

test('every address of an interface is this machine’s own, and no other is', async () => {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  // Those of a link mean nothing without its name.
  for (const { address } of own.filter(({ address }) => !address.startsWith('fe80:')))
    expect(await isOwnAddress(address), address).toBe(true)
  for (const address of ['192.0.2.1', '198.51.100.7', '2001:db8::1']) expect(await isOwnAddress(address), address).toBe(false)
})
