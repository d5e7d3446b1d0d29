/** The guest's end of a control port in memory, and a clock that moves only when told: for tests of the gate's end. */
import {
  encodeGuestMessage,
  FENCES,
  type GateToGuestMessage,
  GUEST_TO_GATE,
  GUEST_VERSION,
  type GuestMessage,
  LinkReader,
  parseGateToGuest,
} from '@authority/protocol'
import type { Transport } from '../../gate/transport.ts'
import { type GuestClock, type GuestHandlers, GuestLink, type GuestSetup, type GuestStart } from '../index.ts'

export class FakeClock implements GuestClock {
  #now = 0
  #timers: { at: number; run: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Lets `ms` pass, running what falls due in order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.#now = next.at
      next.run()
    }
    this.#now = end
  }

  get waiting(): number {
    return this.#timers.length
  }
}

export class FakeGuest {
  readonly received: GateToGuestMessage[] = []
  readonly transport: Transport
  closed = false
  readonly #reader = new LinkReader({ maxFrameBytes: 1 << 20 })

  constructor() {
    this.transport = {
      write: (bytes) => this.#reader.push(bytes, (_, item) => void this.received.push(parseGateToGuest(item))),
      queued: 0,
      onDrain: null,
      onData: null,
      onClose: null,
      pause: () => undefined,
      resume: () => undefined,
      close: () => this.close(),
    }
  }

  sendRaw(bytes: Uint8Array): void {
    this.transport.onData?.(bytes)
  }

  send(...messages: readonly GuestMessage[]): void {
    for (const message of messages) this.sendRaw(encodeGuestMessage(message))
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.transport.onClose?.()
  }

  of<T extends GateToGuestMessage['type']>(type: T): Extract<GateToGuestMessage, { readonly type: T }>[] {
    return this.received.filter((message): message is Extract<GateToGuestMessage, { readonly type: T }> => message.type === type)
  }
}

export const READY: GuestMessage = { type: GUEST_TO_GATE.READY, version: GUEST_VERSION, bootMs: 900, kernel: '6.1.0' }
export const ARMED: GuestMessage = { type: GUEST_TO_GATE.ARMED, fences: [...FENCES] }
export const STARTED: GuestMessage = { type: GUEST_TO_GATE.STARTED, pid: 40 }
export const EXITED: GuestMessage = { type: GUEST_TO_GATE.EXITED, kind: 0, value: 7, cpuUs: 1000, maxRssKib: 200, oomKills: 0 }
export const ENDS: readonly GuestMessage[] = [
  { type: GUEST_TO_GATE.OUTPUT_END, fd: 1 },
  { type: GUEST_TO_GATE.OUTPUT_END, fd: 2 },
]

export const SETUP: GuestSetup = { entropy: new Uint8Array(32), timeS: 1, timeNs: 2, hostname: 'authority', mounts: [], scratch: [] }
export const START: GuestStart = { argv: ['/bin/agent'], env: [], cwd: '/', uid: 1000, gid: 1000, tty: null }

export interface Linked {
  readonly guest: FakeGuest
  readonly clock: FakeClock
  readonly link: GuestLink
}

export function linked(handlers: Partial<GuestHandlers> = {}): Linked {
  const guest = new FakeGuest()
  const clock = new FakeClock()
  const link = new GuestLink(guest.transport, clock, {
    onOpen: () => ({ allow: true, cacheable: true }),
    onOutput: () => undefined,
    onTick: () => undefined,
    ...handlers,
  })
  return { guest, clock, link }
}

/** A guest whose agent runs. */
export async function running(handlers: Partial<GuestHandlers> = {}): Promise<Linked> {
  const all = linked(handlers)
  all.guest.send(READY)
  await all.link.waitReady()
  const armed = all.link.arm(SETUP)
  all.guest.send(ARMED)
  await armed
  const started = all.link.start(START)
  all.guest.send(STARTED)
  await started
  return all
}
