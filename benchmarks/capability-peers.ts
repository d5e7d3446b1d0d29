import { readFileSync } from 'node:fs'
import macaroonPackage from 'macaroon'
import macaroonsPackage from 'macaroons.js'

/** Parses a token from its text, verifies it and asks about one effect. Throws when it is refused. */
export interface Side {
  readonly name: string
  readonly verify: () => void
}

const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 5 + 1))
/** The root's three restrictions, each in one caveat. */
const CAVEATS = ['path = /work/src/**', 'time < 2100-01-01T00:00:00Z', 'action = read']

export async function openPeers(): Promise<readonly Side[]> {
  return [macaroon(), macaroonsJs(), await biscuit()]
}

function macaroon(): Side {
  const { newMacaroon, importMacaroon } = macaroonPackage
  const token = newMacaroon({ version: 2, rootKey: KEY, identifier: 'run', location: 'gate' })
  for (const caveat of CAVEATS) token.addFirstPartyCaveat(caveat)
  const text = Buffer.from(token.exportBinary()).toString('base64url')
  const check = (caveat: string): string | null => (CAVEATS.includes(caveat) ? null : 'not met')
  return { name: 'macaroon', verify: () => importMacaroon(Buffer.from(text, 'base64url')).verify(KEY, check, []) }
}

function macaroonsJs(): Side {
  const { MacaroonsBuilder, MacaroonsVerifier } = macaroonsPackage
  const builder = new MacaroonsBuilder('gate', KEY, 'run')
  for (const caveat of CAVEATS) builder.add_first_party_caveat(caveat)
  const text = builder.getMacaroon().serialize()
  const verify = (): void => {
    const verifier = new MacaroonsVerifier(MacaroonsBuilder.deserialize(text))
    for (const caveat of CAVEATS) verifier.satisfyExact(caveat)
    if (!verifier.isValid(KEY)) throw new Error('refused')
  }
  return { name: 'macaroons.js', verify }
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
async function biscuit(): Promise<Side> {
  const entry = import.meta.resolve('@biscuit-auth/biscuit-wasm')
  const beside = (name: string): URL => new URL(name, entry)
  const bindings = (await import(beside('biscuit_bg.js').href)) as BiscuitBindings
  const module = new WebAssembly.Module(readFileSync(beside('biscuit_bg.wasm')))
  const imports: Record<string, Imports> = {}
  for (const { module: name } of WebAssembly.Module.imports(module)) imports[name] = (await import(beside(name).href)) as Imports
  const exports = new WebAssembly.Instance(module, imports).exports as { readonly __wbindgen_start: () => void }
  bindings.__wbg_set_wasm(exports)
  exports.__wbindgen_start()
  return biscuitSide(bindings)
}

function biscuitSide({ KeyPair, Biscuit, AuthorizerBuilder }: BiscuitBindings): Side {
  const pair = new KeyPair(0)
  const builder = Biscuit.builder()
  builder.addCode('right("/work/src/main.ts", "read");')
  let token = builder.build(pair.getPrivateKey())
  for (const check of [
    'check if path($p), $p.starts_with("/work/src/")',
    'check if time($t), $t < 2100-01-01T00:00:00Z',
    'check if action("read")',
  ]) {
    const block = Biscuit.block_builder()
    block.addCode(`${check};`)
    token = token.appendBlock(block)
  }
  const text = token.toBase64()
  const key = pair.getPublicKey()
  const verify = (): void => {
    const parsed = Biscuit.fromBase64(text, key)
    const question = new AuthorizerBuilder()
    question.addCode('path("/work/src/main.ts"); action("read"); time(2026-01-01T00:00:00Z); allow if path($p), action($a), right($p, $a);')
    const authorizer = question.buildAuthenticated(parsed)
    // Its own default limit of 1 ms refuses valid tokens on a busy machine.
    authorizer.authorizeWithLimits({ max_facts: 1000, max_iterations: 100, max_time_micro: 1_000_000 })
    authorizer.free()
    parsed.free()
  }
  return { name: '@biscuit-auth/biscuit-wasm', verify }
}
