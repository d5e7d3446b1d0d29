import { encodeMessage, LinkReader, MAX_FRAME_BYTES, MESSAGE, OPERATIONS, parseGateMessage } from '@authority/protocol'
import type { Socket } from 'bun'

/** A bare client: frames made beforehand, so that what is measured is the other end. */
export class BenchClient {
  private socket: Socket | null = null
  private readonly reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  private onAnswer: () => void = () => undefined
  private answered = 0
  private nextId = 1

  async connect(path: string): Promise<void> {
    this.socket = await Bun.connect({
      unix: path,
      socket: {
        data: (_, chunk) =>
          this.reader.push(chunk, (_session, item) => {
            const message = parseGateMessage(item)
            if (message.type === MESSAGE.ERROR || message.type === MESSAGE.GOODBYE) throw new Error(`the gate refused: ${message.message}`)
            this.answered += 1
            this.onAnswer()
          }),
        error: (_, error) => {
          throw error
        },
      },
    })
    await this.roundTrip(encodeMessage(0, { type: MESSAGE.HELLO, version: 1, generation: 1, client: 'bench', token: null }))
  }

  request(): Uint8Array {
    const args = ['bench', PAYLOAD]
    return encodeMessage(0, {
      type: MESSAGE.REQUEST,
      id: this.nextId++,
      operation: OPERATIONS['state.put'].code,
      deadlineMs: 0,
      handle: 0,
      args,
    })
  }

  roundTrip(frame: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.onAnswer = resolve
      this.socket?.write(frame)
    })
  }

  /** Keeps `inFlight` requests unanswered until `total` were answered; returns ms. */
  flood(total: number, inFlight: number): Promise<number> {
    const started = performance.now()
    const goal = this.answered + total
    let sent = 0
    return new Promise((resolve) => {
      this.onAnswer = () => {
        if (this.answered === goal) return resolve(performance.now() - started)
        if (sent < total) {
          sent += 1
          this.socket?.write(this.request())
        }
      }
      for (; sent < Math.min(inFlight, total); sent++) this.socket?.write(this.request())
    })
  }

  close(): void {
    this.socket?.end()
  }
}

const PAYLOAD = new Uint8Array(128).fill(7)

/** µs of each of `count` round trips. */
export async function roundTrips(client: BenchClient, count: number): Promise<number[]> {
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const frame = client.request()
    const started = Bun.nanoseconds()
    await client.roundTrip(frame)
    samples.push((Bun.nanoseconds() - started) / 1000)
  }
  return samples
}
