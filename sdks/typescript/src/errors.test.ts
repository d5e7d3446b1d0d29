import { MESSAGE } from '@authority/protocol'
import { expect, test } from 'vitest'
import { AuthorityError, BudgetExceeded, CapabilityError, errorOfReply, PolicyDenied } from './errors.ts'

const denial = { permission: 'fs.write', object: '/work/a', fix: '{"version":"1.0","fs":{"write":["/work/a"]}}', seq: 17 }
const reply = (code: number, message: string, because: typeof denial | null = denial) =>
  errorOfReply({ type: MESSAGE.ERROR, id: 1, code, message, errno: 'EACCES', denial: because })

test('each kind of refusal has its class, and all are AuthorityError', () => {
  const kinds = [20, 21, 22, 30, 10, 15, 31, 50].map((code) => reply(code, 'no').constructor)
  expect(kinds).toEqual([
    PolicyDenied,
    PolicyDenied,
    PolicyDenied,
    BudgetExceeded,
    CapabilityError,
    CapabilityError,
    AuthorityError,
    AuthorityError,
  ])
  expect(reply(20, 'no')).toBeInstanceOf(AuthorityError)
})

test('a denial says what, the fix, and that it is a decision', () => {
  const error = reply(20, 'no rule allows it')
  expect(String(error)).toBe(
    [
      'PolicyDenied: no rule allows it',
      '  denied: fs.write /work/a (audit record 17)',
      '  fix: whoever sets the policy can allow exactly this with {"version":"1.0","fs":{"write":["/work/a"]}}',
      '  This is a decision, not a fault: do not try another route.',
    ].join('\n'),
  )
  expect(error.denial).toEqual(denial)
  expect(error.errno).toBe('EACCES')
})

test('what the gate says already is not said twice', () => {
  const text = reply(20, 'no. This is a decision, not a fault: do not try another route.').message
  expect(text.split('another route')).toHaveLength(2)
})

test('a denial no policy could lift says so', () => {
  expect(reply(20, 'never', { ...denial, fix: '' }).message).toContain('fix: none, a policy cannot allow this')
  expect(reply(13, 'too narrow', { ...denial, fix: '' }).message).toContain('fix: ask for a token that reaches this far')
  expect(reply(30, 'spent', { ...denial, fix: '' }).message).toContain('raise the budget')
})

test('a failure that is no denial is its sentence alone', () => {
  expect(reply(50, '/work/a: no such file', null).message).toBe('/work/a: no such file')
})
