import { expect, test } from 'vitest'
import type { Stat } from '../syscalls.ts'
import { lookedAgain, mayBelieveOld, tell, wrote } from './believing.ts'
import type { Node } from './nodes.ts'

const fresh = (): Node => ({ told: null, toldOthers: false }) as unknown as Node
const version = (size: number, ns = 0): Stat => ({ size, mtime: { s: 1, ns }, ctime: { s: 1, ns } }) as unknown as Stat

test('a guest that was told nothing, or what is there now, believes nothing old', () => {
  const node = fresh()
  expect(mayBelieveOld(node, version(1))).toBe(false)
  tell(node, version(1))
  tell(node, version(1))
  expect(mayBelieveOld(node, version(1))).toBe(false)
})

test.each([
  ['size', version(2)],
  ['time', version(1, 5)],
])('a change of %s since makes what it was told old', (_, now) => {
  const node = fresh()
  tell(node, version(1))
  expect(mayBelieveOld(node, now)).toBe(true)
})

test('after two different answers it may believe the first, until it looked again and was told what is there', () => {
  const node = fresh()
  tell(node, version(1))
  tell(node, version(2))
  expect(mayBelieveOld(node, version(2))).toBe(true)
  lookedAgain(node, version(3))
  expect(mayBelieveOld(node, version(2))).toBe(true)
  lookedAgain(node, version(2))
  expect(mayBelieveOld(node, version(2))).toBe(false)
})

test('what the guest wrote itself it does not believe it knows', () => {
  const node = fresh()
  tell(node, version(1))
  tell(node, version(2))
  wrote(node)
  expect(mayBelieveOld(node, version(3))).toBe(false)
})
