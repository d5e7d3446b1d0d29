/** An image's own policy is a request of whoever built the image: what only the operator may grant is taken out of it. */
import { classify, parseConnectPattern } from '../patterns/index.ts'
import { alwaysDenied, guardedFolder } from './always-deny.ts'
import type { PolicyDocument } from './document.ts'
import { literalPathOf } from './literal-path.ts'
import { type LoadedPolicy, policyOf } from './stage.ts'

export interface ImageRequest {
  /** The same policy without what was refused; same id, source `image`. */
  readonly policy: LoadedPolicy
  /** One sentence per rule taken out, for the start line and the log. */
  readonly refused: readonly string[]
}

/** Listening, this machine's own services and name mappings are the operator's to give. (Mounts and secrets no policy grants.) */
export function asImageRequest(policy: LoadedPolicy): ImageRequest {
  const { net } = policy.document
  const refused: string[] = []
  const keep = (list: string, rules: readonly string[], refuses: (rule: string) => boolean, why: string): string[] =>
    rules.filter((rule, index) => {
      if (!refuses(rule)) return true
      refused.push(`${list}/${index} \`${rule}\`: ${why}`)
      return false
    })
  const listen = keep('/net/listen', net.listen, () => true, 'an image cannot ask to listen; use `-p`')
  const connect = keep(
    '/net/connect',
    net.connect,
    opensLoopback,
    'an image cannot ask for services of this machine; use your own `--policy`',
  )
  const asked = keep(
    '/net/ask/connect',
    net.ask.connect,
    opensLoopback,
    'an image cannot ask for services of this machine; use your own `--policy`',
  )
  const { fs } = policy.document
  const write = keep('/fs/write', fs.write, liftsAlwaysDeny, 'an image cannot lift what is always denied; use your own `--policy`')
  const own = new Map(Object.entries(policy.options.hosts ?? {}))
  const hosts = new Map([...net.hosts].filter(([name]) => own.has(name)))
  for (const [name, address] of net.hosts)
    if (!hosts.has(name)) refused.push(`/net/hosts/${name} \`${address}\`: an image cannot map names; use \`--host ${name}=${address}\``)
  const document: PolicyDocument = {
    ...policy.document,
    fs: { ...fs, write },
    net: { ...net, listen, connect, hosts, ask: { connect: asked } },
  }
  return { policy: policyOf(document, policy.id, 'image', policy.options), refused }
}

function opensLoopback(rule: string): boolean {
  const pattern = parseConnectPattern(rule)
  return pattern.kind === 'ip' && classify(pattern.cidr) === 'loopback'
}

function liftsAlwaysDeny(rule: string): boolean {
  const path = literalPathOf(rule)
  return path !== null && (alwaysDenied(path) !== null || guardedFolder(path) !== null)
}
