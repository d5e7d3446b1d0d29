import { errorCodeOf, INITIAL_STREAM_CREDIT, MESSAGE } from '@authority/protocol'
import type { NetWorld } from './world.ts'

/** A request body as a client writes it. */
export class BodyWriter {
  readonly body: number
  readonly stream: number
  private readonly net: NetWorld

  private constructor(net: NetWorld, body: number, stream: number) {
    this.net = net
    this.body = body
    this.stream = stream
  }

  static async open(net: NetWorld): Promise<BodyWriter> {
    const [body, stream] = (await net.peer.call('net.body', [])) as [number, number]
    return new BodyWriter(net, body, stream)
  }

  data(data: Uint8Array | string): void {
    this.net.peer.send({ type: MESSAGE.STREAM_DATA, stream: this.stream, data: Buffer.from(data) })
  }

  end(): void {
    this.net.peer.send({ type: MESSAGE.STREAM_END, stream: this.stream })
  }

  reset(): void {
    this.net.peer.send({ type: MESSAGE.STREAM_RESET, stream: this.stream, code: 55, message: 'x' })
  }

  /** Bytes the gate has granted so far, the first window included. */
  get granted(): number {
    const { received } = this.net.peer
    return received.reduce(
      (sum, message) => (message.type === MESSAGE.STREAM_CREDIT && message.stream === this.stream ? sum + message.bytes : sum),
      INITIAL_STREAM_CREDIT,
    )
  }

  /** The code the gate reset it with. */
  get refusal(): string | undefined {
    const reset = this.net.peer.received.find((message) => message.type === MESSAGE.STREAM_RESET && message.stream === this.stream)
    return reset?.type === MESSAGE.STREAM_RESET ? errorCodeOf(reset.code) : undefined
  }
}
