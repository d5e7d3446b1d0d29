import type { Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import { describe, expect, test, vi } from 'vitest'
import { type Dial, dialFirst } from './dial.ts'

const never = new AbortController().signal

/** Dials that answer, refuse or hang as the table says; what was dialled and what was closed. */
function world(hosts: Readonly<Record<string, 'answers' | 'refuses' | 'hangs'>>) {
  const dialled: string[] = []
  const cancelled: string[] = []
  const dial: Dial = (address, _port, signal) => {
    dialled.push(address)
    if (hosts[address] === 'answers') return Promise.resolve({ destroy: () => undefined } as unknown as Socket)
    if (hosts[address] === 'refuses') return Promise.reject(new AuthorityError('E_UPSTREAM', address, { errno: 'ECONNREFUSED' }))
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        cancelled.push(address)
        reject(new AuthorityError('E_CANCELLED', address))
      })
    })
  }
  return { dial, dialled, cancelled }
}

describe('which address answers first', () => {
  test('one that refuses is followed at once', async () => {
    const { dial, dialled } = world({ a: 'refuses', b: 'answers' })
    expect((await dialFirst(dial, ['a', 'b'], 1, never)).address).toBe('b')
    expect(dialled).toEqual(['a', 'b'])
  })

  test('one that hangs is followed after a moment, and given up when another answers', async () => {
    vi.useFakeTimers()
    try {
      const { dial, cancelled } = world({ '::1': 'hangs', b: 'answers' })
      const won = dialFirst(dial, ['::1', 'b'], 1, never)
      await vi.advanceTimersByTimeAsync(250)
      expect((await won).address).toBe('b')
      expect(cancelled).toEqual(['::1'])
    } finally {
      vi.useRealTimers()
    }
  })

  test('families take turns', async () => {
    const { dial, dialled } = world({ '::1': 'refuses', '::2': 'refuses', '::3': 'refuses', a: 'refuses' })
    await expect(dialFirst(dial, ['::1', '::2', '::3', 'a'], 1, never)).rejects.toMatchObject({ errno: 'ECONNREFUSED' })
    expect(dialled).toEqual(['::1', 'a', '::2', '::3'])
  })

  test('nothing to dial, and a request that was cancelled, are errors', async () => {
    const { dial } = world({ a: 'hangs' })
    await expect(dialFirst(dial, [], 1, never)).rejects.toMatchObject({ code: 'E_UPSTREAM' })
    const abort = new AbortController()
    const waiting = dialFirst(dial, ['a'], 1, abort.signal)
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'E_CANCELLED' })
  })
})
