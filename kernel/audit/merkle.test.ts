import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from './crc32c.ts'
import { toHex } from './hash.ts'
import {
  CompactRange,
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts'
import { crcAdd, crcEnd, Tree } from './verify/primitives.ts'

const vectors = JSON.parse(readFileSync(join(import.meta.dirname, '../../fixtures/vectors/audit/merkle.json'), 'utf8')) as {
  readonly leaves: readonly string[]
  readonly roots: readonly string[]
  readonly inclusion: readonly { readonly index: number; readonly size: number; readonly proof: readonly string[] }[]
  readonly consistency: readonly { readonly from: number; readonly to: number; readonly proof: readonly string[] }[]
}
const data = vectors.leaves.map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))
const leaves = data.map(leafHash)
const bytes = (hex: readonly string[]): Uint8Array[] => hex.map((h) => new Uint8Array(Buffer.from(h, 'hex')))
const trees = fc.array(fc.uint8Array({ minLength: 0, maxLength: 8 }), { minLength: 1, maxLength: 70 }).map((list) => list.map(leafHash))

describe('Merkle tree', () => {
  it('is the same wherever its range was looked at while it grew', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.uniqueArray(fc.nat(200)), fc.constantFrom(0, 1, 5, 31, 32, 33, 1000), (count, looks, before) => {
        const all = Array.from({ length: before + count }, (_, i) => leafHash(Uint8Array.of(i, i >> 8)))
        const begun = new CompactRange()
        for (const leaf of all.slice(0, before)) begun.append(leaf)
        let range = new CompactRange(begun.size, begun.hashes)
        const independent = new Tree()
        for (const leaf of all.slice(0, before)) independent.add(Buffer.from(leaf))
        for (const [i, leaf] of all.slice(before).entries()) {
          range.append(leaf)
          independent.add(Buffer.from(leaf))
          expect(range.size).toBe(before + i + 1)
          if (looks.includes(i)) expect(toHex(range.root())).toBe(toHex(independent.root()))
          if (looks.includes(i + 100)) range = range.copy()
        }
        expect(toHex(range.root())).toBe(toHex(independent.root()))
      }),
    )
  })

  it('has the roots Certificate Transparency publishes for its test leaves', () => {
    expect(toHex(EMPTY_ROOT)).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    vectors.roots.forEach((root, i) => {
      expect(toHex(rootOf(leaves.slice(0, i + 1)))).toBe(root)
    })
  })

  it('makes and accepts the published proofs', () => {
    for (const { index, size, proof } of vectors.inclusion) {
      expect(inclusionProof(index, leaves.slice(0, size)).map(toHex)).toEqual(proof)
      expect(verifyInclusion(index, size, leaves[index] as Uint8Array, bytes(proof), rootOf(leaves.slice(0, size)))).toBe(true)
    }
    for (const { from, to, proof } of vectors.consistency) {
      expect(consistencyProof(from, leaves.slice(0, to)).map(toHex)).toEqual(proof)
      expect(verifyConsistency(from, to, bytes(proof), rootOf(leaves.slice(0, from)), rootOf(leaves.slice(0, to)))).toBe(true)
    }
  })

  it('agrees with the verifier’s own tree at every size', () => {
    const range = new CompactRange()
    const other = new Tree()
    for (let i = 0; i < 300; i++) {
      const entry = new TextEncoder().encode(`entry ${i}`)
      range.append(leafHash(entry))
      other.add(Buffer.from(leafHash(entry)))
      expect(toHex(range.root())).toBe(other.root().toString('hex'))
      expect(range.hashes.map(toHex)).toEqual(other.peaks().map((peak) => peak.toString('hex')))
    }
  })

  it('proves every leaf of every tree, and no other leaf, place, size or root', () => {
    fc.assert(
      fc.property(trees, fc.nat(), (tree, n) => {
        const index = n % tree.length
        const root = rootOf(tree)
        const proof = inclusionProof(index, tree)
        const leaf = tree[index] as Uint8Array
        expect(verifyInclusion(index, tree.length, leaf, proof, root)).toBe(true)
        expect(verifyInclusion(index, tree.length, leafHash(leaf), proof, root)).toBe(false)
        expect(verifyInclusion(index, tree.length, leaf, [...proof, leaf], root)).toBe(false)
        expect(verifyInclusion(tree.length, tree.length, leaf, proof, root)).toBe(false)
        if (proof.length > 0) expect(verifyInclusion(index, tree.length, leaf, proof.slice(1), root)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })

  it('proves every prefix, and refuses size 0, another root and a proof with more or less', () => {
    fc.assert(
      fc.property(trees, fc.nat(), (tree, n) => {
        const size = 1 + (n % tree.length)
        const [old, now] = [rootOf(tree.slice(0, size)), rootOf(tree)]
        const proof = consistencyProof(size, tree)
        expect(verifyConsistency(size, tree.length, proof, old, now)).toBe(true)
        expect(verifyConsistency(size, tree.length, proof, leafHash(old), now)).toBe(false)
        expect(verifyConsistency(size, tree.length, [...proof, old], old, now)).toBe(false)
        expect(verifyConsistency(0, tree.length, proof, EMPTY_ROOT, now)).toBe(false)
        if (proof.length > 0) expect(verifyConsistency(size, tree.length, proof.slice(1), old, now)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })
})

describe('CRC-32C', () => {
  it('has the values of RFC 3720 B.4, in both implementations', () => {
    const ascending = Uint8Array.from({ length: 32 }, (_, i) => i)
    const known: [Uint8Array, number][] = [
      [new Uint8Array(32), 0x8a9136aa],
      [new Uint8Array(32).fill(0xff), 0x62a8ab43],
      [ascending, 0x46dd794e],
      [ascending.slice().reverse(), 0x113fdb5c],
    ]
    for (const [input, crc] of known) {
      expect(crc32c(input)).toBe(crc)
      expect(crcEnd(crcAdd(-1, Buffer.from(input), 0, input.length))).toBe(crc)
    }
  })

  it('may be taken in pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (input, n) => {
        const cut = Math.min(n, input.length)
        expect(crc32c(input, crc32c(input, 0, 0, cut), cut)).toBe(crc32c(input))
      }),
    )
  })
})
