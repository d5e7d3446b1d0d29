import type { Gate } from '@authority/kernel/gate'
import { AuthorityError } from '@authority/protocol'
import { beforeEach, expect, test } from 'vitest'
import { ClaimedPrograms } from './claimed-programs.ts'

const records: unknown[] = []
const asked: number[] = []
let answer: string | null = '/bin/sh'
let seq = 1
const audit = { append: (record: unknown) => records.push(record) }
const refuse = () => {
  throw new AuthorityError('E_POLICY_DENY', 'no', { denial: { permission: 'fs.read', object: '/x', fix: '', seq } })
}
const refusing = { look: refuse, admit: async () => refuse() } as unknown as Gate
beforeEach(() => {
  for (const list of [records, asked]) list.length = 0
  answer = '/bin/sh'
})

function over(): { look(pid?: number): Promise<unknown>; admit(pid: number): Promise<unknown> } {
  const source = {
    program: async (pid: number) => {
      asked.push(pid)
      return answer
    },
  }
  const gate = new ClaimedPrograms(audit as never, () => source).over(refusing)
  const request = (pid: number | undefined) =>
    ({ subject: { session: 'fuse', via: 'fuse', ...(pid === undefined ? {} : { pid }) } }) as never
  return { look: async (pid) => gate.look(request(pid)), admit: (pid) => gate.admit(request(pid)) }
}

test('a denial with a record of its own is named once, and stays a denial', async () => {
  const gate = over()
  seq = 5
  await expect(gate.look(71)).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
  await expect(gate.look(72)).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
  seq = 6
  await expect(gate.admit(72)).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
  await expect(gate.look()).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
  expect(asked).toEqual([71, 72])
  expect(records).toEqual([
    { type: 'GUEST', event: 'program', detail: { deny: 5, pid: 71, exe: '/bin/sh' } },
    { type: 'GUEST', event: 'program', detail: { deny: 6, pid: 72, exe: '/bin/sh' } },
  ])
})

test('a guest that does not say is not asked again, and a made-up number of denials is bounded', async () => {
  const silent = over()
  answer = null
  for (seq = 1; seq <= 3; seq++) await expect(silent.look(71)).rejects.toThrow()
  expect(asked).toEqual([71])
  const busy = over()
  answer = ''
  for (seq = 1; seq <= 1_100; seq++) await expect(busy.look(71)).rejects.toThrow()
  expect(asked.length - 1).toBe(1_024)
  expect(records).toEqual([])
})
