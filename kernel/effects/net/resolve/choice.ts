export { MAX_DNS_SERVERS } from '../limits.ts'

/** Whom the gate asks for the addresses of names: the operator's choice, never the policy's or the image's. */
export type ResolverChoice =
  | { readonly kind: 'system' }
  /** DNS servers, asked one after the other until one answers. */
  | { readonly kind: 'servers'; readonly servers: readonly DnsServer[] }
  /** DNS over HTTPS (RFC 8484): `address` is where the host of the URL is, so that nobody has to be asked for it. */
  | { readonly kind: 'https'; readonly url: string; readonly address: string }

export interface DnsServer {
  /** Literal, without brackets. */
  readonly address: string
  readonly port: number
}

export const DNS_PORT = 53

/** As it is written after `--resolver`, each server by itself. */
export function resolverTexts(choice: ResolverChoice): readonly string[] {
  switch (choice.kind) {
    case 'system':
      return ['system']
    case 'servers':
      return choice.servers.map(serverText)
    case 'https':
      return [`${choice.url}=${choice.address}`]
  }
}

function serverText({ address, port }: DnsServer): string {
  if (port === DNS_PORT) return address
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}
