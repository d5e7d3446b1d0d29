import { AuthorityError, type ClientMessage, MESSAGE, type WireValue } from '@authority/protocol'
import { describe, expect, test } from 'vitest'
import { Client } from './client.ts'
import { Connection } from './connection.ts'
import { ConnectionLost } from './errors.ts'
import { type FakeSession, fakeGate, WELCOME } from './testing/fake-gate.ts'
import { fixture, type Json, play, revive, type Step } from './testing/play.ts'
import { limitOf } from './wait.ts'

type Say = 'welcome' | 'close' | { readonly raw: string } | { readonly item: Json; readonly repeat?: number }

interface Case {
  readonly name: string
  readonly hello: readonly Say[]
  readonly request?: readonly Say[]
  /** The connection itself fails. */
  readonly connect?: true
  /** fs.open is answered well, and the call is on its file. */
  readonly opened?: true
  readonly before?: readonly Step[]
  readonly call?: Step
  readonly error: string
  readonly lost?: true
}

/** Short where the gate stays silent, because that costs the whole deadline; long where it must be the gate's own words that end the call. */
const SILENT_MS = 150
const PATIENT_MS = 20_000
const FS_OPEN = 0x0100

const { cases } = fixture<{ readonly cases: readonly Case[] }>('sdk/hostile.json')

describe.concurrent('a gate that', () => {
  test.each(cases.map((each) => [each.name, each] as const))('%s', async (_, hostile) => {
    await using gate = await fakeGate((message, session) => behave(hostile, message, session))
    const timeoutMs = hostile.error === 'E_TIMEOUT' ? SILENT_MS : PATIENT_MS
    const connecting = Connection.open(
      { socket: gate.socket, token: null, timeoutMs, graceMs: 0 },
      limitOf(undefined, hostile.connect ? timeoutMs : PATIENT_MS),
    )
    if (hostile.connect) return expectFailure(await failure(connecting), hostile)
    await using client = new Client(await connecting, { handle: 0, token: null })
    const stored = new Map<string, unknown>([['client', client]])
    if (hostile.opened) stored.set('file', await client.fs.open('/a'))
    for (const step of hostile.before ?? []) await play(step, stored)
    if (hostile.call === undefined) throw new Error('the case calls nothing')
    expectFailure(await failure(play(hostile.call, stored)), hostile)
    if (hostile.lost) expectFailure(await failure(client.ping()), hostile)
  })
})

function behave(hostile: Case, message: ClientMessage, session: FakeSession): void {
  if (message.type === MESSAGE.HELLO) for (const say of hostile.hello) speak(session, say, 0)
  if (message.type !== MESSAGE.REQUEST) return
  if (hostile.opened && message.operation === FS_OPEN) return session.item([MESSAGE.RESULT, message.id, [1, 0]])
  for (const say of hostile.request ?? []) speak(session, say, message.id)
}

function speak(session: FakeSession, say: Say, id: number): void {
  if (say === 'welcome') return session.send(WELCOME)
  if (say === 'close') return session.close()
  if ('raw' in say) return session.raw(new Uint8Array(Buffer.from(say.raw, 'hex')))
  for (let i = 0; i < (say.repeat ?? 1); i++) session.item(revive(withId(say.item, id), new Map()) as WireValue)
}

function withId(item: Json, id: number): Json {
  if (item === '$id') return id
  return Array.isArray(item) ? item.map((each: Json) => withId(each, id)) : item
}

async function failure(promise: Promise<unknown>): Promise<AuthorityError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AuthorityError) return error
    throw error
  }
  throw new Error('nothing failed')
}

function expectFailure(error: AuthorityError, hostile: Case): void {
  expect([error.code, error instanceof ConnectionLost]).toEqual([hostile.error, hostile.lost === true])
  expect(error.message).not.toBe('')
}
