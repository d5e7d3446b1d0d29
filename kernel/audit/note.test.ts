import { describe, expect, it } from 'vitest'
import { sha256 } from './hash.ts'
import { checkpointText, openCheckpoint, parseSigner, parseVerifier, signCheckpoint, signerText } from './note.ts'
import { readCheckpoint, readKey } from './verify/primitives.ts'

// The example of golang.org/x/mod/sumdb/note: an implementation we did not write made these bytes.
const GO_SIGNER = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
const GO_VERIFIER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const GO_SIGNATURE = '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'

describe('signed notes', () => {
  it('signs and verifies byte for byte as Go does', () => {
    const signer = parseSigner(GO_SIGNER)
    expect(signer.verifierKey).toBe(GO_VERIFIER)
    expect(signer.signature(GO_TEXT)).toBe(GO_SIGNATURE)
    expect(parseVerifier(GO_VERIFIER).check(GO_TEXT, GO_SIGNATURE)).toBe(true)
    expect(readKey(GO_VERIFIER)?.verifies(GO_TEXT, GO_SIGNATURE.trimEnd())).toBe(true)
  })

  it('refuses a signature over another text, by another key, or spelled differently', () => {
    const verifier = parseVerifier(GO_VERIFIER)
    expect(verifier.check(`${GO_TEXT}\n`, GO_SIGNATURE)).toBe(false)
    expect(verifier.check(GO_TEXT, GO_SIGNATURE.replace('=\n', '\n'))).toBe(false)
    expect(verifier.check(GO_TEXT, GO_SIGNATURE.replace('x08g', 'x08h'))).toBe(false)
    expect(verifier.check(GO_TEXT, GO_SIGNATURE.replace('—', '-'))).toBe(false)
  })

  it('opens only a checkpoint of the three lines, in both implementations', () => {
    const text = signerText('example.com/log', sha256(new Uint8Array([1])))
    const signer = parseSigner(text)
    const [verifier, key] = [parseVerifier(signer.verifierKey), readKey(signer.verifierKey)]
    const root = sha256(new Uint8Array(0))
    const note = signCheckpoint({ origin: 'example.com/log', size: 7, root }, signer)
    expect(openCheckpoint(note, verifier)).toEqual({ origin: 'example.com/log', size: 7, root })
    expect(key && readCheckpoint(note, [key])).toMatchObject({ origin: 'example.com/log', size: 7 })
    for (const bad of ['07', '-1', '1e3', '', '99999999999999999999']) {
      const body = checkpointText({ origin: 'o', size: 7, root }).replace('\n7\n', `\n${bad}\n`)
      const forged = `${body}\n${signer.signature(body)}`
      expect(() => openCheckpoint(forged, verifier)).toThrow(RangeError)
      expect(key && readCheckpoint(forged, [key])).toBe(null)
    }
  })

  it('allows signatures of others beside its own, in both implementations, and no line that is none', () => {
    const signer = parseSigner(signerText('example.com/log', sha256(new Uint8Array([1]))))
    const [verifier, key] = [parseVerifier(signer.verifierKey), readKey(signer.verifierKey)]
    const note = signCheckpoint({ origin: 'example.com/log', size: 7, root: sha256(new Uint8Array(0)) }, signer)
    const beside = (line: string): string => note.replace('\n\n', `\n\n${line}\n`)
    for (const line of ['— w AAAAAAA=', '— a/b.c AAAABBBB']) {
      expect(openCheckpoint(beside(line), verifier).size).toBe(7)
      expect(key && readCheckpoint(beside(line), [key])?.size).toBe(7)
    }
    for (const line of ['— exampl', '— w', '— w ', '—  AAAABBBB', '— w+1 AAAABBBB', '— w AAAABBBB x', '— w AAAA*', '- w AAAABBBB', '']) {
      expect(() => openCheckpoint(beside(line), verifier), line).toThrow(RangeError)
      expect(key && readCheckpoint(beside(line), [key]), line).toBe(null)
    }
  })

  it('refuses keys that are not exactly one', () => {
    for (const bad of [
      '',
      'a',
      'a+b',
      'a+00000000+AAAA',
      GO_VERIFIER.replace('c74f20a3', 'c74f20a4'),
      `${GO_VERIFIER} `,
      GO_VERIFIER.replace('Peter', 'Pe ter'),
    ]) {
      expect(() => parseVerifier(bad)).toThrow(RangeError)
      expect(readKey(bad)).toBe(null)
    }
  })
})
