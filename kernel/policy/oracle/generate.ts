/** Only for tests: policies and questions whose rules overlap often. */
import fc from 'fast-check'
import type { Question } from '../../vocabulary/index.ts'
import type { OracleDocument } from './cedar.ts'

const few = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 3 })
const globs = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 2 }), fc.constantFrom('', '/**', '/*', '/a*', '/*b', '/*.md'))
  .map(([parts, end]) => `/${parts.join('/')}${end}`)
const hosts = fc.constantFrom('a.test', 'b.test', 'x.a.test', '*.a.test', '*.b.test')
const ports = fc.constantFrom('80', '443', '*', '80-90')
const names = fc.tuple(hosts, ports).map(([host, port]) => `dns:${host}:${port}`)
const ranges = fc
  .tuple(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.1.1', '8.8.0.0/16'), ports)
  .map(([range, port]) => `ip:${range}:${port}`)
const connects = fc.oneof(names, ranges)
const tools = fc.constantFrom('t', 'tt', 't*', 'u', 'git.*')
const paths = fc.record({ look: few(globs), read: few(globs), write: few(globs) })

export const documents: fc.Arbitrary<OracleDocument> = fc
  .record({
    lists: paths,
    deny: paths,
    ask: paths,
    net: fc.record({
      dns: few(hosts),
      connect: few(connects),
      deny: fc.record({ dns: few(hosts), connect: few(names) }),
      ask: fc.record({ connect: few(connects) }),
    }),
    tools: fc.record({ allow: few(tools), deny: few(tools), ask: few(tools) }),
  })
  .map(({ lists, deny, ask, net, tools }) => ({ fs: { ...lists, deny, ask }, net, tools }))

export const questions: fc.Arbitrary<Question> = fc.oneof(
  fc
    .tuple(fc.constantFrom('fs.look', 'fs.read', 'fs.write'), fc.array(fc.constantFrom('a', 'b', 'ab', 'a.md', 'c'), { maxLength: 4 }))
    .map(([action, parts]): Question => ({ action, object: `/${parts.join('/')}` })),
  fc.constantFrom('a.test', 'b.test', 'x.a.test', 'y.x.a.test', 'c.test').map((object): Question => ({ action: 'net.dns', object })),
  fc
    .tuple(
      fc.constantFrom('dns:a.test', 'dns:x.a.test', 'dns:c.test', 'ip:10.1.1.1', 'ip:10.1.2.3', 'ip:10.9.9.9', 'ip:8.8.8.8', 'ip:9.9.9.9'),
      fc.constantFrom(1, 80, 85, 90, 91, 443),
    )
    .map(([host, port]): Question => ({ action: 'net.connect', object: `${host}:${port}` })),
  fc.constantFrom('t', 'tt', 'u', 'v', 'git.log').map((object): Question => ({ action: 'tools', object })),
)
