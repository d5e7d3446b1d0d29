/** What a connection to a named host on a port of TLS must begin with: a ClientHello that names that host. It authorises the address of a name, not what is inside. */
import { AuthorityError } from '@authority/protocol'
import { normalizeHost } from '../../patterns/index.ts'
import { readClientHello } from './client-hello.ts'
import { MAX_HELLO_FLIGHT_BYTES, MAX_HELLO_PIECES } from './limits.ts'
import type { Target } from './object.ts'

/** Ports on which the client speaks TLS from its first byte (IANA service names): https, submissions, nntps, ldaps, dns over tls, ftps, telnets, imaps, pop3s, sips, amqps, syslog-tls, https-alt, mqtts. */
const TLS_PORTS: ReadonlySet<number> = new Set([443, 465, 563, 636, 853, 989, 990, 992, 993, 995, 5061, 5671, 6514, 8443, 8883])

export type TlsVerdict =
  | { readonly state: 'partial' }
  /** All bytes so far, in order. */
  | { readonly state: 'pass'; readonly held: Uint8Array }
  /** `serverName`: another host than the granted one, when that is why. */
  | { readonly state: 'refused'; readonly error: AuthorityError; readonly serverName: string | null }

/** The check for one connection, or null where none is due: an address rule grants the address itself, other ports carry anything. */
export function tlsCheckFor(target: Target): TlsCheck | null {
  return target.kind === 'name' && TLS_PORTS.has(target.port) ? new TlsCheck(target.name, target.port) : null
}

/** Holds what a client sends until its ClientHello is whole. */
export class TlsCheck {
  private readonly name: string
  private readonly port: number
  private held: Uint8Array = new Uint8Array(0)
  private pieces = 0

  constructor(name: string, port: number) {
    this.name = name
    this.port = port
  }

  take(data: Uint8Array): TlsVerdict {
    this.pieces += 1
    if (this.pieces > MAX_HELLO_PIECES || this.held.length + data.length > MAX_HELLO_FLIGHT_BYTES)
      return this.refuse('too much before a whole ClientHello', null)
    this.held = this.held.length === 0 ? Uint8Array.from(data) : Buffer.concat([this.held, data])
    const hello = readClientHello(this.held)
    switch (hello.state) {
      case 'partial':
        return hello
      case 'refused':
        return this.refuse(hello.reason, null)
      case 'hello':
        return this.judge(hello.serverName)
    }
  }

  private judge(serverName: string | null): TlsVerdict {
    if (serverName === null) return this.refuse('the ClientHello names no server', null)
    const host = normalizeHost(serverName)
    if (host.kind === 'name' && host.name === this.name) return { state: 'pass', held: this.held }
    return this.refuse('the ClientHello names another server', host.kind === 'name' ? host.name : null)
  }

  private refuse(reason: string, serverName: string | null): TlsVerdict {
    return {
      state: 'refused',
      error: new AuthorityError('E_POLICY_DENY', `${this.name}:${this.port} may only be reached with TLS for ${this.name}: ${reason}`),
      serverName,
    }
  }
}
