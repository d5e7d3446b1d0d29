/** From bytes to a policy: the file itself and what it includes, one id over all of them. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { readDocument } from './document.ts'
import { parseJson } from './json.ts'
import { MAX_INCLUDE_DEPTH, MAX_INCLUDED_FILES, MAX_LIST_RULES, MAX_MAPPED_RULES, MAX_POLICY_BYTES } from './limits.ts'
import { PolicyLoadError, quoted } from './load-error.ts'
import { countMapped } from './mapped-names.ts'
import { mergeParts, type Part } from './merge.ts'
import { readSource, type SourceText } from './source-text.ts'
import { type LoadedPolicy, type LoadOptions, policyOf } from './stage.ts'
import type { Located } from './structure.ts'
import { parseToml } from './toml.ts'

interface LoadedFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** `source` names the file in messages. Throws PolicyLoadError (code E_POLICY_DENY) with every problem found in the first file that has one. */
export function loadPolicy(bytes: Uint8Array, source: string, options: LoadOptions = {}): LoadedPolicy {
  const loader = new Loader(source, options)
  loader.file(bytes, '', null, [])
  const document = mergeParts(loader.parts, (name, part) => {
    throw new PolicyLoadError(part.file, [
      {
        line: 1,
        column: 1,
        pointer: '/net/hosts',
        message: `${quoted(name)} is mapped to another address in another file`,
        suggestion: 'keep one of the two',
      },
    ])
  })
  // Within one file this was told with a better place.
  if (countMapped(document) > MAX_MAPPED_RULES)
    throw new PolicyLoadError(source, [
      {
        line: 1,
        column: 1,
        pointer: '/net/hosts',
        message: `over all files, mapped names and the rules for them make more than ${MAX_MAPPED_RULES} rules for addresses`,
        suggestion: 'allow the addresses themselves, e.g. `ip:10.0.0.0/24:443`',
      },
    ])
  return policyOf(document, policyId(loader.files), source, options)
}

/**
 * SHA-256 (hex) of the file's bytes. With includes: of `authority-policy-files-1\n` and, for each file in the order in which it is first named (depth first, the
 * file itself first and with an empty name), u32 length and bytes of its name, u32 length and bytes of its content; lengths big-endian.
 */
export function policyId(files: readonly LoadedFile[]): string {
  const [only, ...included] = files
  if (only === undefined || included.length === 0) return bytesToHex(sha256(only?.bytes ?? new Uint8Array()))
  const parts = files.flatMap(({ name, bytes }) => {
    const encoded = utf8ToBytes(name)
    return [u32(encoded.length), encoded, u32(bytes.length), bytes]
  })
  return bytesToHex(sha256(concatBytes(utf8ToBytes('authority-policy-files-1\n'), ...parts)))
}

class Loader {
  readonly files: LoadedFile[] = []
  readonly parts: Part[] = []
  readonly #sizes = new Map<string, number>()
  readonly #source: string
  readonly #options: LoadOptions
  #total = 0

  constructor(source: string, options: LoadOptions) {
    this.#source = source
    this.#options = options
  }

  /** `name`: empty for the file itself. `chain`: the files being read, outermost first. */
  file(bytes: Uint8Array, name: string, from: { readonly text: SourceText; readonly at: Located } | null, chain: readonly string[]): void {
    this.#total += bytes.length
    if (from !== null && this.#total > MAX_POLICY_BYTES)
      throw refusal(from.text, from.at, `the files have more than ${MAX_POLICY_BYTES} bytes together`, 'replace long lists by globs')
    this.files.push({ name, bytes })
    const shown = name === '' ? this.#source : name
    const text = readSource(bytes, shown)
    const format = name === '' ? this.#options.format : undefined
    const toml = (format ?? (shown.toLowerCase().endsWith('.toml') ? 'toml' : 'json')) === 'toml'
    const hosts = name === '' ? (this.#options.hosts ?? {}) : {}
    const { document, sizes, includes } = readDocument(toml ? parseToml(text) : parseJson(text), text, hosts)
    for (const [list, size] of sizes) {
      const total = (this.#sizes.get(list) ?? 0) + size
      if (from !== null && total > MAX_LIST_RULES)
        throw refusal(
          from.text,
          from.at,
          `with this file ${quoted(list)} has ${total} rules, more than ${MAX_LIST_RULES}`,
          'replace literal rules by globs',
        )
      this.#sizes.set(list, total)
    }
    this.parts.push({ file: name, document: name === '' ? document : withoutMapped(document, this.#options) })
    for (const included of includes) this.#include(text, included, [...chain, name === '' ? bareName(this.#source) : name])
  }

  #include(text: SourceText, included: Located, chain: readonly string[]): void {
    const name = included.text
    if (chain.includes(name))
      throw refusal(text, included, `${quoted(name)} includes itself: ${[...chain, name].join(' → ')}`, 'remove one of them')
    if (this.files.some((file) => file.name === name)) return
    if (chain.length > MAX_INCLUDE_DEPTH)
      throw refusal(text, included, `files include each other deeper than ${MAX_INCLUDE_DEPTH}`, 'include them from the first file')
    if (this.files.length >= MAX_INCLUDED_FILES)
      throw refusal(text, included, `more than ${MAX_INCLUDED_FILES} files`, 'merge some of them')
    const { include } = this.#options
    if (include === undefined)
      throw refusal(text, included, 'this policy cannot include files: it does not lie in a folder', 'put the rules into it')
    let bytes: Uint8Array
    try {
      bytes = include(name)
    } catch (error) {
      throw refusal(
        text,
        included,
        `${quoted(name)} cannot be read: ${error instanceof Error ? error.message : 'unknown fault'}`,
        'it must be a plain file in the same folder',
      )
    }
    this.file(bytes, name, { text, at: included }, chain)
  }
}

/** The operator's own mapping wins over every file's. */
function withoutMapped(document: Part['document'], { hosts = {} }: LoadOptions): Part['document'] {
  const kept = new Map([...document.net.hosts].filter(([name]) => !Object.hasOwn(hosts, name)))
  return { ...document, net: { ...document.net, hosts: kept } }
}

function refusal(text: SourceText, at: Located, message: string, suggestion: string): PolicyLoadError {
  return new PolicyLoadError(text.name, [text.problem(at.at, at.pointer, message, suggestion)])
}

function bareName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function u32(value: number): Uint8Array {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value])
}
