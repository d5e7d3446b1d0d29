import { describe, expect, it } from 'vitest'
import { breakAt, callsOfAnAppend, FAULTS, hasStrace } from '../../kernel/audit/testing/strace.ts'

/** Another place each day would be no test one can repeat: every seventh call, each with another fault. `npm run campaign -- audit-crash` breaks them all. */
const STEP = 7

describe.skipIf(!hasStrace())('a real process, broken at its system calls', () => {
  it('loses no acknowledged record, does nothing unannounced, and is recovered', async () => {
    const calls = callsOfAnAppend()
    expect(calls.map(({ name }) => name)).toEqual(expect.arrayContaining(['fdatasync', 'sync_file_range']))
    const broken: string[] = []
    for (let at = 0; at < calls.length; at += STEP) {
      const fault = FAULTS[(at / STEP) % FAULTS.length]
      const call = calls[at]
      if (call && fault) broken.push(...(await breakAt(call, fault)))
    }
    expect(broken).toEqual([])
  })
})
