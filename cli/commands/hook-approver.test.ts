import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PendingApproval } from '@authority/kernel/approvals'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hookApprover } from './hook-approver.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hook-approver-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const pending = (leftMs = 60_000): PendingApproval => ({
  id: 'a'.repeat(12),
  digest: 'a'.repeat(64),
  operation: 'fs.open',
  permission: 'fs.write',
  object: '/work/$(touch x)\u202e',
  session: 'effects:1',
  rule: '/fs/ask/write/0',
  asked: '2026-01-01T00:00:00.000Z',
  leftMs,
})
const decided = async (command: string, leftMs?: number): Promise<string> => {
  const answer = await hookApprover(command).ask(pending(leftMs))
  return `${answer?.decision}: ${answer?.by}`
}

it.each([
  ['exit 0', 'once: hook (exit 0)'],
  ['echo run', 'run: hook (exit 0)'],
  ['printf "  run"', 'once: hook (exit 0)'],
  ['echo run; exit 1', 'deny: hook (exit 1)'],
  ['echo allow me; exit 0', 'once: hook (exit 0)'],
  ['exit 1', 'deny: hook (exit 1)'],
  ['exit 255', 'deny: hook (exit 255)'],
  ['kill -9 $$', 'deny: hook (ended by a signal)'],
  ['/no/such/hook 2>/dev/null', 'deny: hook (exit 127)'],
  ['printf "\\000\\377run"; exit 0', 'once: hook (exit 0)'],
  ['head -c 10000000 /dev/zero; exit 0', 'once: hook (exit 0)'],
  ['exec <&-; exit 0', 'once: hook (exit 0)'],
])('%s: %s', async (command, expected) => expect(await decided(command)).toBe(expected))

it('gets the request as one line of JSON, whatever the agent put into it', async () => {
  expect(await decided(`cat > ${folder}/request`)).toBe('once: hook (exit 0)')
  const lines = readFileSync(join(folder, 'request'), 'utf8').split('\n')
  expect([JSON.parse(lines[0] ?? ''), lines.length]).toEqual([pending(), 2])
})

it('that does not answer in time denies, and nothing of it lives on', async () => {
  expect(await decided(`mkfifo ${folder}/never; echo $$ > ${folder}/pid; cat ${folder}/never; exit 0`, 500)).toBe(
    'deny: hook (no answer in time)',
  )
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  await expect.poll(() => existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))).toBe(false)
})

it('that leaves something running with its stdout is answered all the same, and what it left is ended', async () => {
  expect(await decided(`mkfifo ${folder}/left; cat ${folder}/left & echo $! > ${folder}/child; exit 0`)).toBe('once: hook (exit 0)')
  const pid = Number(readFileSync(join(folder, 'child'), 'utf8'))
  await expect.poll(() => existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))).toBe(false)
})
