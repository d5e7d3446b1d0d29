import { expect, test } from 'vitest'
import { NEVER } from './testing/forbidden-addresses.ts'
import { vettedAddresses } from './vet.ts'

const permit = { signal: new AbortController().signal, decideAgain: () => Promise.resolve() }

/** The last fence: whatever a rule, a mapping or a gate that was told to allow everything says. */
test.each(NEVER)('%s is dialled for nobody: neither by itself nor as what a name is mapped to', async (address) => {
  const deps = { resolve: async () => [], hosts: new Map([['mapped.example', address]]), isOwnAddress: async () => false }
  const dialled = (target: Parameters<typeof vettedAddresses>[0]) => vettedAddresses(target, permit, deps)
  await expect(dialled({ kind: 'address', address, port: 80 })).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
  await expect(dialled({ kind: 'name', name: 'mapped.example', port: 80 })).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
})
