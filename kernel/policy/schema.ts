/**
 * The one declaration of what a policy file may hold. The reader, the JSON Schema for editors and `policy show` follow from it.
 * A key that is not here is an error; so is one that is here but `refused`, with a reason.
 */
import { OPERATION_CLASSES } from '../vocabulary/index.ts'
import { PROFILE_NAMES } from './profiles.ts'
import { CONSTRAINED_TOOL_SCHEMA } from './tool-rule.ts'

/** What the strings of a list mean: which grammar checks them. */
export type RuleKind = 'path' | 'name' | 'connect' | 'listen' | 'tool' | 'model' | 'profile' | 'include' | 'env' | 'mount'

export type Shape =
  | {
      readonly kind: 'object'
      readonly doc: string
      readonly members: Readonly<Record<string, Shape>>
      readonly required?: readonly string[]
    }
  | { readonly kind: 'rules'; readonly doc: string; readonly of: RuleKind }
  | { readonly kind: 'integer'; readonly doc: string }
  | { readonly kind: 'money'; readonly doc: string }
  | { readonly kind: 'text'; readonly doc: string; readonly only?: readonly string[] }
  /** Host name → address. */
  | { readonly kind: 'hosts'; readonly doc: string }
  /** Known from the published format or planned, and not available here: an error that says what to do instead. */
  | { readonly kind: 'refused'; readonly doc: string; readonly instead: string }

const rules = (of: RuleKind, doc: string): Shape => ({ kind: 'rules', of, doc })
const integer = (doc: string): Shape => ({ kind: 'integer', doc })
const object = (doc: string, members: Readonly<Record<string, Shape>>): Shape => ({ kind: 'object', doc, members })
const refused = (doc: string, instead: string): Shape => ({ kind: 'refused', doc, instead })
export const POLICY_VERSION = '1.0'

/** What effects spend: of the whole run, and of one class of operations. */
const SPENDING: Readonly<Record<string, Shape>> = {
  calls: integer('Effects of any kind.'),
  tool_calls: integer('Tool calls.'),
  tokens: integer('Tokens of all models, in and out.'),
  tokens_in: integer('Tokens given to models.'),
  tokens_out: integer('Tokens models answered.'),
  cost: { kind: 'money', doc: 'US dollars as text, e.g. `"$5"` or `"$0.25"`.' },
  cost_nano_usd: integer('Cost in 10⁻⁹ US dollar; instead of `cost`.'),
  bytes: integer('Bytes read, written and moved over the network.'),
  bytes_in: integer('Bytes read from files and received over the network.'),
  bytes_out: integer('Bytes sent over the network.'),
  bytes_written: integer('Bytes written to files.'),
  concurrency: integer('Effects under way at once.'),
}

export const POLICY_SHAPE = {
  kind: 'object',
  doc: 'What an agent may do. Everything not allowed here is denied.',
  required: ['version'],
  members: {
    $schema: { kind: 'text', doc: 'For editors; has no effect.' },
    version: { kind: 'text', doc: 'Version of the format.', only: [POLICY_VERSION] },
    include: rules('include', 'Names of further policy files in the same folder; their rules are added to these, the lowest budget holds.'),
    profiles: rules('profile', 'Built-in sets of read rules for what a kind of program needs inside its image.'),
    fs: object('Files, by the path the agent sees.', {
      look: rules(
        'path',
        'Absolute globs that may be looked at (is it there, which attributes), as what may be read or written may anyway.',
      ),
      read: rules('path', 'Absolute globs that may be read.'),
      write: rules('path', 'Absolute globs that may be created, changed, renamed and removed; does not imply reading.'),
      deny: object('Wins over every allow rule; also covers names that differ only in case or Unicode form.', {
        look: rules('path', 'Absolute globs never looked at, and so neither read nor changed.'),
        read: rules('path', 'Absolute globs never read.'),
        write: rules('path', 'Absolute globs never changed.'),
      }),
      ask: object('Waits for a person; wins over every allow rule.', {
        look: rules('path', 'Absolute globs looked at only after approval. A look does not wait: it fails until it was approved.'),
        read: rules('path', 'Absolute globs read only after approval.'),
        write: rules('path', 'Absolute globs changed only after approval.'),
      }),
    }),
    net: object('Network, by name and address.', {
      dns: rules('name', 'Names that may be resolved, `host` or `*.host`. Grants no connection.'),
      connect: rules('connect', '`dns:HOST:PORT`, `ip:ADDRESS:PORT`, `ip:RANGE/BITS:PORT`. A `dns:` rule implies resolving its names.'),
      listen: rules('listen', '`ip:ADDRESS:PORT` on which guest ports may be published.'),
      hosts: {
        kind: 'hosts',
        doc: 'Names the operator maps to an address; counts as the rule for that address at the ports the name is allowed at.',
      },
      deny: object('Wins over every allow rule.', {
        dns: rules('name', 'Names never resolved.'),
        connect: rules('connect', '`dns:HOST:PORT` never connected to.'),
      }),
      ask: object('Waits for a person; wins over every allow rule.', {
        connect: rules('connect', 'Connected to only after approval. A `dns:` rule implies resolving its names, which asks nobody.'),
      }),
      bind: refused('Older name of `listen`.', 'write the rule under `net.listen`'),
    }),
    tools: object(
      'Tools, by name; a `*` at the end stands for any rest. A rule may be `{ "name": …, "args": { POINTER: CONDITION } }`: then it holds only for such arguments.',
      {
        allow: rules('tool', 'Tools that may be called.'),
        deny: rules('tool', 'Tools never called; wins.'),
        ask: rules('tool', 'Tools called only after approval; wins over every allow rule.'),
      },
    ),
    infer: object('Models, by name; a `*` at the end stands for any rest.', {
      models: rules('model', 'Models that may be asked.'),
      deny: rules('model', 'Models never asked; wins.'),
      ask: rules('model', 'Models asked only after approval; wins over every allow rule.'),
      max_tokens: integer('Most tokens one answer may have.'),
    }),
    budgets: object('Limits of the whole run, and of one class of operations under its name; absent is unlimited.', {
      ...SPENDING,
      wall_time_ms: integer('Milliseconds from start to end.'),
      cpu_ns: integer('Nanoseconds of CPU; rounded down to whole milliseconds.'),
      cpu_ms: integer('Milliseconds of CPU; instead of `cpu_ns`.'),
      log_bytes: integer('Bytes of the audit log.'),
      ...Object.fromEntries(
        OPERATION_CLASSES.map((name) => [name, object(`Limits of \`${name}.*\` alone, beside those of the run.`, SPENDING)]),
      ),
      heap_objects: refused('From the published format.', 'memory is limited by `authority run --memory`'),
      heap_bytes: refused('From the published format.', 'memory is limited by `authority run --memory`'),
    }),
    env: object('Which environment variables a run may be given; checked before it starts.', {
      allow: rules('env', 'Names, or `PREFIX*`. With this list, any other variable of `authority run -e` is refused.'),
      require: rules('env', 'Names that must be set, by the image or by `authority run -e`.'),
    }),
    mounts: object('Which host folders a run may be given; checked before it starts. A policy never mounts by itself.', {
      allow: rules('mount', '`/GUEST/PATH`, or `/GUEST/PATH:ro` for read-only. With this list, any other mount is refused.'),
      require: rules('mount', '`/GUEST/PATH`, `/GUEST/PATH:ro` or `/GUEST/PATH:rw` that must be mounted.'),
    }),
    ask: object('How approval is asked for.', { timeout_ms: integer('Milliseconds after which a request nobody answered is denied.') }),
    wasm: refused('From the published format.', 'WASM modules are not supported yet: remove the section'),
    deny: refused('Deny rules.', 'write them per section, e.g. `fs.deny.write`'),
  },
} as const satisfies Shape

/** JSON Schema (2020-12) of a shape, for editors. It says what can be said there; the loader decides. */
export function jsonSchema(): Record<string, unknown> {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Authority policy', ...schemaOf(POLICY_SHAPE) }
}

function schemaOf(shape: Shape): Record<string, unknown> {
  switch (shape.kind) {
    case 'object': {
      const known = Object.entries(shape.members).filter(([, member]) => member.kind !== 'refused')
      return {
        type: 'object',
        description: shape.doc,
        additionalProperties: false,
        ...(shape.required === undefined ? {} : { required: shape.required }),
        properties: Object.fromEntries(known.map(([key, member]) => [key, schemaOf(member)])),
      }
    }
    case 'rules':
      return { type: 'array', description: shape.doc, items: itemSchema(shape.of) }
    case 'integer':
      return { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: shape.doc }
    case 'money':
      return { type: 'string', pattern: MONEY.source, description: shape.doc }
    case 'text':
      return { type: 'string', description: shape.doc, ...(shape.only === undefined ? {} : { enum: shape.only }) }
    case 'hosts':
      return { type: 'object', description: shape.doc, additionalProperties: { type: 'string' } }
    case 'refused':
      return {}
  }
}

function itemSchema(of: RuleKind): Record<string, unknown> {
  const text = { type: 'string', ...RULE_SCHEMA[of] }
  return of === 'tool' ? { oneOf: [text, CONSTRAINED_TOOL_SCHEMA] } : text
}

/** Dollars with at most nine decimals: exactly a whole number of 10⁻⁹. */
export const MONEY = /^\$(0|[1-9][0-9]{0,6})(?:\.([0-9]{1,9}))?$/

const RULE_SCHEMA: Readonly<Record<RuleKind, Record<string, unknown>>> = {
  path: { pattern: '^/' },
  name: { minLength: 1 },
  connect: { pattern: '^(dns|ip):.+:([0-9]+(-[0-9]+)?|\\*)$' },
  listen: { pattern: '^ip:.+:([0-9]+(-[0-9]+)?|\\*)$' },
  tool: { minLength: 1 },
  model: { minLength: 1 },
  profile: { enum: PROFILE_NAMES },
  include: { pattern: '^[^/\\\\]+\\.(json|toml)$' },
  env: { pattern: '^[A-Za-z_][A-Za-z0-9_]*\\*?$' },
  mount: { pattern: '^/[^:]+(:r[ow])?$' },
}
