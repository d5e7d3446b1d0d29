import { isIP } from 'node:net'
import { DNS_PORT, type DnsServer, MAX_DNS_SERVERS, type ResolverChoice } from '@authority/kernel/effects/net/resolver-choice'
import { ConfigError } from './errors.ts'

const FORMS = 'write it as system, ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT or https://NAME/PATH=ADDRESS'

/** `--resolver` and `Resolver`: whom the gate asks for addresses. Nothing given is `system`. Throws ConfigError. */
export function parseResolver(texts: readonly string[]): ResolverChoice {
  const [first, ...others] = texts
  if (first === undefined || (first === 'system' && others.length === 0)) return { kind: 'system' }
  if (first.startsWith('https:') && others.length === 0) return parseHttps(first)
  const single = texts.find((text) => text === 'system' || text.startsWith('https:'))
  if (single !== undefined)
    throw new ConfigError(undefined, `the resolver ${JSON.stringify(single)} stands beside others`, 'only DNS servers may be several')
  if (texts.length > MAX_DNS_SERVERS) throw new ConfigError(undefined, `more than ${MAX_DNS_SERVERS} resolvers`, 'name fewer')
  return { kind: 'servers', servers: texts.map(parseServer) }
}

function parseServer(text: string): DnsServer {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(text)
  const address = isIP(text) === 6 ? text : (found?.[1] ?? found?.[2] ?? '')
  const port = Number(found?.[3] ?? DNS_PORT)
  const brackets = found?.[1] !== undefined
  if (isIP(address) === 0 || (brackets && isIP(address) !== 6) || port < 1 || port > 65535)
    throw new ConfigError(undefined, `${JSON.stringify(text)} is not a resolver`, FORMS)
  return { address, port }
}

/** `https://dns.example/dns-query=192.0.2.1`; where the host is an address already, without `=ADDRESS`. */
function parseHttps(text: string): ResolverChoice {
  const cut = text.lastIndexOf('=')
  const last = cut < 0 ? '' : text.slice(cut + 1).replace(/^\[(.*)\]$/, '$1')
  const given = isIP(last) === 0 ? null : last
  const url = URL.parse(given === null ? text : text.slice(0, cut))
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '' || url.hash !== '')
    throw new ConfigError(undefined, `${JSON.stringify(text)} is not a resolver`, FORMS)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const address = given ?? (isIP(host) === 0 ? null : host)
  if (address === null)
    throw new ConfigError(
      undefined,
      `where ${url.hostname} is must be said: nobody can be asked before there is a resolver`,
      `write ${JSON.stringify(`${text}=ADDRESS`)}`,
    )
  return { kind: 'https', url: url.href, address }
}
