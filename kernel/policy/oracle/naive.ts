/** Only for tests: the policy's meaning written as plainly as it can be, one rule after the other, with regular expressions and no index. */
import type { Question } from '../../vocabulary/index.ts'
import type { OracleDocument } from './cedar.ts'

type Standing = 'allow' | 'ask' | 'deny'

function glob(pattern: string): RegExp {
  const source = pattern
    .split('/')
    .slice(1)
    .map((segment) => (segment === '**' ? '(?:/[^/]+)*' : `/${segment.replace(/[.+^$()|[\]{}?\\]/g, '\\$&').replace(/\*/g, '[^/]*')}`))
    .join('')
  return new RegExp(`^${source}$`)
}

/** Whether something below the folder could match: segment by segment, as far as the folder goes. */
function leadsTo(pattern: string, folder: string): boolean {
  const rule = pattern.split('/').slice(1)
  const names = folder === '/' ? [] : folder.split('/').slice(1)
  for (const [index, name] of names.entries()) {
    const segment = rule[index]
    if (segment === undefined) return false
    if (segment === '**') return true
    if (!glob(`/${segment}`).test(`/${name}`)) return false
  }
  return rule.length > names.length
}

function host(pattern: string, name: string): boolean {
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1 : name === pattern
}

function number(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function connects(rule: string, object: string): boolean {
  const [, kind, target = '', ports = ''] = /^(dns|ip):(.*):([^:]*)$/.exec(rule) ?? []
  const [, asked, wanted = '', port = ''] = /^(dns|ip):(.*):([0-9]+)$/.exec(object) ?? []
  const [low = '', high = low] = ports === '*' ? ['1', '65535'] : ports.split('-')
  if (kind !== asked || Number(port) < Number(low) || Number(port) > Number(high)) return false
  if (kind === 'dns') return host(target, wanted)
  const [network = '', bits = '32'] = target.split('/')
  const size = 2 ** (32 - Number(bits))
  return Math.floor(number(network) / size) === Math.floor(number(wanted) / size)
}

function tool(rule: string, name: string): boolean {
  return rule.endsWith('*') ? name.startsWith(rule.slice(0, -1)) : rule === name
}

const hostsOf = (rules: readonly string[]): string[] =>
  rules.filter((rule) => rule.startsWith('dns:')).map((rule) => rule.slice(4, rule.lastIndexOf(':')))

export function naive({ fs, net, tools }: OracleDocument, { action, object }: Question): Standing {
  const pick = (deny: boolean, ask: boolean, allow: boolean): Standing => (deny ? 'deny' : ask ? 'ask' : allow ? 'allow' : 'deny')
  const paths = (rules: readonly string[]): boolean => rules.some((rule) => glob(rule).test(object))
  const ends = (rules: readonly string[]): boolean => rules.some((rule) => connects(rule, object))
  const names = (rules: readonly string[]): boolean => rules.some((rule) => host(rule, object))
  const named = (rules: readonly string[]): boolean => rules.some((rule) => tool(rule, object))
  const looked = (rules: readonly string[]): boolean => rules.some((rule) => glob(rule).test(object) || leadsTo(rule, object))
  const hidden = paths(fs.deny.look)
  switch (action) {
    case 'fs.look': {
      const [deniedRead, deniedWrite] = [paths(fs.deny.read), paths(fs.deny.write)]
      const through = ({ look, read, write }: OracleDocument['fs']['ask']): boolean =>
        looked(look) || (!deniedRead && looked(read)) || (!deniedWrite && looked(write))
      return pick(hidden || (deniedRead && deniedWrite), paths(fs.ask.look), through(fs) || through(fs.ask))
    }
    case 'fs.read':
      return pick(hidden || paths(fs.deny.read), paths(fs.ask.read), paths(fs.read))
    case 'fs.write':
      return pick(hidden || paths(fs.deny.write), paths(fs.ask.write), paths(fs.write))
    case 'net.dns':
      return pick(names(net.deny.dns), false, names([...net.dns, ...hostsOf(net.connect), ...hostsOf(net.ask.connect)]))
    case 'net.connect': {
      const name = /^dns:(.*):/.exec(object)?.[1]
      const deniedName = name !== undefined && net.deny.dns.some((rule) => host(rule, name))
      return pick(ends(net.deny.connect) || deniedName, ends(net.ask.connect), ends(net.connect))
    }
    case 'tools':
      return pick(named(tools.deny), named(tools.ask), named(tools.allow))
    default:
      return 'deny'
  }
}
