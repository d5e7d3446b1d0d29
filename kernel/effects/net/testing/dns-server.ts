/** A DNS server of the tests, over UDP and TCP on one port, that answers whatever a test wants. Packets are made by a package that shares no code with ours. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Answer, decode, encode, type Packet } from 'dns-packet'

export interface DnsAsked {
  readonly id: number
  readonly name: string
  readonly type: string
  readonly over: 'udp' | 'tcp' | 'https'
}

/** Packets to send for one question, as they are; null: silence. */
export type DnsScript = (asked: DnsAsked) => readonly Uint8Array[] | null

export interface DnsServerUnderTest {
  readonly port: number
  readonly asked: DnsAsked[]
  close(): void
}

export function askedOf(packet: Uint8Array, over: DnsAsked['over']): DnsAsked {
  const { id = 0, questions = [] } = decode(Buffer.from(packet))
  return { id, name: questions[0]?.name ?? '', type: questions[0]?.type ?? '', over }
}

/** A well-formed answer to the question, or what `change` makes of it. */
export function answering({ id, name, type }: DnsAsked, answers: readonly Answer[], change: Partial<Packet> = {}): Uint8Array {
  const questions = [{ type: type as 'A', name }]
  return encode({ type: 'response', id, flags: 0x0180, questions, answers: [...answers], ...change })
}

export async function dnsServer(script: DnsScript, port = 0, address = '127.0.0.1'): Promise<DnsServerUnderTest> {
  const asked: DnsAsked[] = []
  const answerUdp = (socket: UdpSocket, from: RemoteInfo, packet: Uint8Array): void => {
    const question = askedOf(packet, 'udp')
    asked.push(question)
    for (const answer of script(question) ?? []) socket.send(answer, from.port, from.address)
  }
  const sockets = new Set<Socket>()
  const streams = createServer((socket) => {
    sockets.add(socket)
    let got = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (data: Buffer) => {
      got = Buffer.concat([got, data])
      if (got.length < 2 || got.length < 2 + got.readUInt16BE()) return
      const question = askedOf(got.subarray(2), 'tcp')
      asked.push(question)
      // In pieces: the length is no message of its own.
      for (const answer of script(question) ?? []) {
        const framed = Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer])
        socket.write(framed.subarray(0, 1))
        socket.write(framed.subarray(1, 5))
        socket.write(framed.subarray(5))
      }
      socket.end()
    })
  })
  const { datagrams, bound } = await bindBoth(streams, port, address)
  datagrams.on('message', (packet, from) => answerUdp(datagrams, from, packet))
  return {
    port: bound,
    asked,
    close: () => {
      datagrams.close()
      streams.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** A port chosen for TCP may be somebody's for UDP: then another is chosen. A port that was asked for is that one or an error. */
async function bindBoth(streams: Server, port: number, address: string): Promise<{ datagrams: UdpSocket; bound: number }> {
  for (;;) {
    await new Promise<void>((resolve, reject) => streams.once('error', reject).listen(port, address, resolve))
    const bound = (streams.address() as AddressInfo).port
    const datagrams = createSocket('udp4')
    const failed = await new Promise<Error | null>((resolve) => datagrams.once('error', resolve).bind(bound, address, () => resolve(null)))
    if (failed === null) return { datagrams, bound }
    datagrams.close()
    await new Promise((resolve) => streams.close(resolve))
    if (port !== 0) throw failed
  }
}
