import { readFileSync } from 'node:fs'
import macaroonPackage from 'macaroon'
import macaroonsPackage from 'macaroons.js'
import { folderOf, inTurn, type Kind, makeAll, pathIn, rootOf, type Side } from './capability-tokens.ts'

const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 5 + 1))

const [PATH, TIME, ACTION] = ['path = ', 'time < ', 'action = ']
/** 2100-01-01T00:00:00Z in ms since the epoch. */
const FAR_MS = 4_102_444_800_000
/** The root's three restrictions, each in one caveat. */
const caveatsOf = (folder: string): readonly string[] => [`${PATH}${folder}/**`, `${TIME}${FAR_MS}`, `${ACTION}read`]

interface Case {
  readonly text: string
  /** What is asked about. */
  readonly path: string
}

/** What a macaroon's verifier is told of each caveat: whether it holds for reading this path now. As quick as it can be said. */
function holds(caveat: string, path: string): boolean {
  if (caveat.startsWith(PATH)) return path.startsWith(caveat.slice(PATH.length, -2))
  if (caveat.startsWith(TIME)) return Date.now() < Number(caveat.slice(TIME.length))
  return caveat === `${ACTION}read`
}

/** The peers with tokens of one kind. */
export async function openPeers(): Promise<(kind: Kind) => readonly Side[]> {
  const bindings = await biscuitBindings()
  return (kind) => [macaroon(kind), macaroonsJs(kind), biscuit(kind, bindings)]
}

function macaroon(kind: Kind): Side {
  const { newMacaroon, importMacaroon } = macaroonPackage
  const narrowed = (root: string, caveats: readonly string[]) => {
    const token = newMacaroon({ version: 2, rootKey: KEY, identifier: root, location: 'gate' })
    for (const caveat of caveats) token.addFirstPartyCaveat(caveat)
    return token
  }
  const cases = makeAll(kind, (folder, root): Case => {
    const caveats = caveatsOf(folder)
    return { text: macaroonText(narrowed(root, caveats), root, caveats), path: pathIn(folder) }
  })
  // What is written here is what the peer writes.
  const written = narrowed(rootOf(kind, 0), caveatsOf(folderOf(kind, 0))).exportBinary()
  if (Buffer.from(written).toString('base64url') !== cases[0]?.text) throw new Error('the text of a macaroon is not the one of its package')
  return inTurn('macaroon', cases, ({ text, path }) =>
    importMacaroon(Buffer.from(text, 'base64url')).verify(KEY, (caveat) => (holds(caveat, path) ? null : 'not met'), []),
  )
}

/** Its own exportBinary doubles its buffer with every field, which takes 0.1 s a token: the second binary format of macaroons, written here. */
function macaroonText({ signature }: { readonly signature: Uint8Array }, root: string, caveats: readonly string[]): string {
  const [END, LOCATION, IDENTIFIER, SIGNATURE] = [0, 1, 2, 6]
  const field = (type: number, value: string | Uint8Array): Buffer => Buffer.from([type, value.length, ...Buffer.from(value)])
  const parts = [Buffer.of(2), field(LOCATION, 'gate'), field(IDENTIFIER, root), Buffer.of(END)]
  for (const caveat of caveats) parts.push(field(IDENTIFIER, caveat), Buffer.of(END))
  return Buffer.concat([...parts, Buffer.of(END), field(SIGNATURE, signature)]).toString('base64url')
}

function macaroonsJs(kind: Kind): Side {
  const { MacaroonsBuilder, MacaroonsVerifier } = macaroonsPackage
  const cases = makeAll(kind, (folder, root): Case => {
    const caveats = caveatsOf(folder)
    const builder = new MacaroonsBuilder('gate', KEY, root)
    for (const caveat of caveats) builder.add_first_party_caveat(caveat)
    return { text: builder.getMacaroon().serialize(), path: pathIn(folder) }
  })
  return inTurn('macaroons.js', cases, ({ text, path }) => {
    const verifier = new MacaroonsVerifier(MacaroonsBuilder.deserialize(text))
    verifier.satisfyGeneral((caveat) => holds(caveat, path))
    if (!verifier.isValid(KEY)) throw new Error('refused')
  })
}

interface Biscuit {
  appendBlock(block: BiscuitBlock): Biscuit
  toBase64(): string
  free(): void
}
interface BiscuitBlock {
  addCode(code: string): void
}
interface BiscuitBindings {
  __wbg_set_wasm(exports: unknown): void
  KeyPair: new (algorithm: number) => { getPublicKey(): unknown; getPrivateKey(): unknown }
  Biscuit: {
    builder(): BiscuitBlock & { build(key: unknown): Biscuit }
    block_builder(): BiscuitBlock
    fromBase64(text: string, key: unknown): Biscuit
  }
  AuthorizerBuilder: new () => {
    addCode(code: string): void
    buildAuthenticated(token: Biscuit): { authorizeWithLimits(limits: unknown): number; free(): void }
  }
}

type Imports = ConstructorParameters<typeof WebAssembly.Instance>[1] extends infer I ? NonNullable<I>[keyof NonNullable<I>] : never

/** Built for bundlers: its module is put together here from its own files. */
async function biscuitBindings(): Promise<BiscuitBindings> {
  const entry = import.meta.resolve('@biscuit-auth/biscuit-wasm')
  const beside = (name: string): URL => new URL(name, entry)
  const bindings = (await import(beside('biscuit_bg.js').href)) as BiscuitBindings
  const module = new WebAssembly.Module(readFileSync(beside('biscuit_bg.wasm')))
  const imports: Record<string, Imports> = {}
  for (const { module: name } of WebAssembly.Module.imports(module)) imports[name] = (await import(beside(name).href)) as Imports
  const exports = new WebAssembly.Instance(module, imports).exports as { readonly __wbindgen_start: () => void }
  bindings.__wbg_set_wasm(exports)
  exports.__wbindgen_start()
  return bindings
}

/** Different biscuits: signing one takes ms, and its verifier remembers none. */
const BISCUITS = 256

function biscuit(all: Kind, { KeyPair, Biscuit, AuthorizerBuilder }: BiscuitBindings): Side {
  const kind = { ...all, tokens: Math.min(all.tokens, BISCUITS), roots: Math.min(all.roots, BISCUITS) }
  const pair = new KeyPair(0)
  const key = pair.getPublicKey()
  const rootToken = (root: string): Biscuit => {
    const builder = Biscuit.builder()
    builder.addCode(`run("${root}"); right("read");`)
    return builder.build(pair.getPrivateKey())
  }
  const narrowed = (root: Biscuit, check: string): Biscuit => {
    const block = Biscuit.block_builder()
    block.addCode(`check if ${check};`)
    return root.appendBlock(block)
  }
  const roots = new Map<string, Biscuit>()
  const cases = makeAll(kind, (folder, name) => {
    const root = roots.get(name) ?? rootToken(name)
    roots.set(name, root)
    const checks = [`path($p), $p.starts_with("${folder}/")`, 'time($t), $t < 2100-01-01T00:00:00Z', 'action("read")']
    const tokens: Biscuit[] = []
    for (const check of checks) tokens.push(narrowed(tokens.at(-1) ?? root, check))
    const text = tokens.at(-1)?.toBase64() ?? ''
    for (const token of tokens) token.free()
    return { text, question: `path("${pathIn(folder)}"); action("read"); time(2026-01-01T00:00:00Z); allow if action($a), right($a);` }
  })
  for (const root of roots.values()) root.free()
  return inTurn('@biscuit-auth/biscuit-wasm', cases, ({ text, question }) => {
    const parsed = Biscuit.fromBase64(text, key)
    const asked = new AuthorizerBuilder()
    asked.addCode(question)
    const authorizer = asked.buildAuthenticated(parsed)
    // Its own default limit of 1 ms refuses valid tokens on a busy machine.
    authorizer.authorizeWithLimits({ max_facts: 1000, max_iterations: 100, max_time_micro: 1_000_000 })
    authorizer.free()
    parsed.free()
  })
}
