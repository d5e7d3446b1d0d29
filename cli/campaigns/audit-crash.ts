import { breakAt, callsOfAnAppend, FAULTS, hasStrace } from '../../kernel/audit/testing/strace.ts'

export const about =
  'every system call of one append and one checkpoint of a real process fails with EIO, with ENOSPC, and kills; arguments: none'

/** Needs strace. Some two minutes. */
export async function campaign(): Promise<number> {
  if (!hasStrace()) {
    console.log('strace is not here, or may not trace: nothing was tried')
    return 1
  }
  const calls = callsOfAnAppend()
  let broken = 0
  for (const call of calls) {
    for (const fault of FAULTS) {
      for (const promise of await breakAt(call, fault)) {
        broken++
        console.log(promise)
      }
    }
  }
  console.log(`${calls.length} system calls, ${FAULTS.length} faults each`)
  return broken
}
