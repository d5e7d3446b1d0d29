import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { AuthorityError } from '@authority/protocol'
import { dialTcp } from '../dial.ts'
import { MAX_STRAY_DATAGRAMS, RESOLVE_ATTEMPT_MS, RESOLVE_ROUNDS } from '../limits.ts'
import { type AddressAnswer, type AddressQuestion, type AddressType, encodeAddressQuestion, readAddressAnswer } from './answer.ts'
import type { DnsServer } from './choice.ts'

/** Asks one server after the other, twice, until one answers about the name. Throws E_UPSTREAM, E_TIMEOUT, E_CANCELLED. */
export async function askServers(
  servers: readonly DnsServer[],
  name: string,
  type: AddressType,
  signal: AbortSignal,
): Promise<AddressAnswer> {
  let failure: unknown
  for (let round = 0; round < RESOLVE_ROUNDS; round++)
    for (const server of servers) {
      try {
        const answer = await askServer(server, name, type, AbortSignal.any([signal, AbortSignal.timeout(RESOLVE_ATTEMPT_MS)]))
        if (answer.kind !== 'refused') return answer
        failure = failed(server, `answers with code ${answer.rcode}`)
      } catch (error) {
        if (signal.aborted) throw signal.reason
        failure = error
      }
    }
  throw failure
}

async function askServer(server: DnsServer, name: string, type: AddressType, signal: AbortSignal): Promise<AddressAnswer> {
  // Sixteen bits of id and, of the socket's own port, about as many more: what somebody who cannot listen has to guess.
  const question = { id: randomInt(0x10000), name, type }
  const answer = await overUdp(server, question, signal)
  if (answer.kind !== 'truncated') return answer
  const whole = await overTcp(server, { ...question, id: randomInt(0x10000) }, signal)
  if (whole.kind === 'truncated') throw failed(server, 'cuts its answer over TCP too')
  return whole
}

/** A socket of its own for one question, at a port of the kernel's choice, that takes datagrams of this server alone. */
function overUdp(server: DnsServer, question: AddressQuestion, signal: AbortSignal): Promise<AddressAnswer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4')
    let strays = 0
    let over = false
    const settle = (): void => {
      if (over) return
      over = true
      signal.removeEventListener('abort', onAbort)
      socket.close()
    }
    const fail = (error: unknown): void => {
      settle()
      reject(error)
    }
    const onAbort = (): void => fail(silent(server))
    socket.on('error', (error: NodeJS.ErrnoException) => fail(failed(server, error.code ?? 'error')))
    socket.on('message', (packet) => {
      try {
        const answer = readAddressAnswer(packet, question)
        if (answer === null) {
          // An answer to something else is somebody guessing: the true one may still come, but nobody guesses for ever.
          if (++strays >= MAX_STRAY_DATAGRAMS) fail(failed(server, 'sends answers to what was not asked'))
          return
        }
        settle()
        resolve(answer)
      } catch (error) {
        fail(error)
      }
    })
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => {
      if (!over) socket.send(encodeAddressQuestion(question))
    })
    socket.connect(server.port, server.address)
  })
}

/** RFC 7766: each message behind its length. */
async function overTcp(server: DnsServer, question: AddressQuestion, signal: AbortSignal): Promise<AddressAnswer> {
  const socket = await dialTcp(server.address, server.port, signal).catch((error: unknown) => {
    throw signal.aborted ? silent(server) : error
  })
  const onAbort = (): void => void socket.destroy(silent(server))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const packet = encodeAddressQuestion(question)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(packet.length)
    socket.write(Buffer.concat([length, packet]))
    let got = Buffer.alloc(0)
    // Two bytes of length: 64 KiB is the most that is ever kept.
    for await (const chunk of socket) {
      got = Buffer.concat([got, chunk as Buffer])
      const whole = got.length < 2 ? Number.POSITIVE_INFINITY : 2 + got.readUInt16BE()
      if (got.length < whole) continue
      const answer = readAddressAnswer(got.subarray(2, whole), question)
      if (answer === null) throw failed(server, 'answers something else')
      return answer
    }
    throw failed(server, 'closes the connection')
  } catch (error) {
    if (error instanceof AuthorityError) throw error
    throw failed(server, (error as NodeJS.ErrnoException).code ?? 'error')
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.on('error', () => undefined)
    socket.destroy()
  }
}

function failed({ address, port }: DnsServer, what: string): AuthorityError {
  return new AuthorityError('E_UPSTREAM', `the DNS server ${address} port ${port}: ${what}`, { errno: 'EHOSTUNREACH' })
}

function silent({ address, port }: DnsServer): AuthorityError {
  return new AuthorityError('E_TIMEOUT', `the DNS server ${address} port ${port} does not answer`)
}
