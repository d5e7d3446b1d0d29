import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leafHash, verifyConsistency, verifyInclusion } from '../../kernel/audit/merkle.ts'
import { openCheckpoint, parseVerifier } from '../../kernel/audit/note.ts'

/** What somebody does with a log of the compiled binary who was not there: keep a checkpoint, prove, export, pin a key, rotate it. */
const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist', 'authority')
let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'authority-verbs-'))
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'a'), 'x')
  writeFileSync(join(folder, 'p.json'), '{"version":"1.0","fs":{"read":["/in/**"]}}')
  env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    AUTHORITY_HOME: join(folder, 'home'),
    PYTHONPATH: join(ROOT, 'sdks', 'python', 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
  }
  for (let i = 0; i < 2; i++) await serve()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly out: string
}

async function authority(...args: readonly string[]): Promise<Ran> {
  const child = Bun.spawn([BINARY, ...args], { cwd: folder, env, stderr: 'ignore' })
  const out = await new Response(child.stdout).text()
  return { out, code: await child.exited }
}

const READ = 'import authority\nwith authority.connect() as gate:\n  for _ in range(3): gate.fs.read_text("/in/a")'
const serve = (): Promise<Ran> =>
  authority('gate', 'serve', '--policy', 'p.json', '-v', `${join(folder, 'in')}:/in`, '--', 'python3', '-c', READ)
const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))

async function runs(): Promise<readonly string[]> {
  const { out } = await authority('runs', 'ls', '--json')
  return (JSON.parse(out) as { readonly id: string }[]).map(({ id }) => id)
}

test('a kept checkpoint raises the trust in its own log, and refuses another', async () => {
  const [one = '', other = ''] = await runs()
  expect((await authority('audit', 'checkpoint', one, '-o', 'kept')).code).toBe(0)
  const trusted = await authority('audit', 'verify', one, '--anchor', 'kept', '--require', 'remembered-checkpoint', '--json')
  expect([trusted.code, JSON.parse(trusted.out)]).toMatchObject([0, { trust: 'remembered-checkpoint' }])
  expect((await authority('audit', 'verify', other, '--anchor', 'kept')).code).toBe(1)
})

test('a proof of a record, and of a prefix, holds for whoever has only the key', async () => {
  const [run = ''] = await runs()
  const key = parseVerifier((await authority('key', 'export')).out.trim())
  const exported = (await authority('audit', 'export', run)).out.trimEnd().split('\n')
  const proof = JSON.parse((await authority('audit', 'prove', run, '2', '--json')).out) as {
    readonly checkpoint: string
    readonly hashes: readonly string[]
    readonly text: string
  }
  const head = openCheckpoint(proof.checkpoint, key)
  expect(exported).toHaveLength(head.size)
  const leaf = leafHash(new TextEncoder().encode(exported[2]))
  expect(verifyInclusion(2, head.size, leaf, proof.hashes.map(base64), head.root)).toBe(true)
  expect(verifyInclusion(3, head.size, leaf, proof.hashes.map(base64), head.root)).toBe(false)
  expect(proof.text).toContain(proof.checkpoint)

  const [first = ''] = readFileSync(join(folder, 'home', 'runs', run, 'audit', 'checkpoints'), 'utf8').split(/(?<=\n— [^\n]*\n)\n/)
  writeFileSync(join(folder, 'early'), first)
  const since = JSON.parse((await authority('audit', 'prove', run, '--since', 'early', '--json')).out) as {
    readonly hashes: readonly string[]
  }
  const early = openCheckpoint(first, key)
  expect(early.size).toBeLessThan(head.size)
  expect(verifyConsistency(early.size, head.size, since.hashes.map(base64), early.root, head.root)).toBe(true)
})

test('an export reaches the collector that is named, as OTLP', async () => {
  const [run = ''] = await runs()
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['content-type']}`)
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const { code, out } = await authority('audit', 'export', run, '--otlp', `http://127.0.0.1:${port}`, '--json')
  await new Promise((done) => server.close(done))
  // The run, and its three effects.
  expect([code, JSON.parse(out)]).toMatchObject([0, { spans: 4 }])
  expect(seen).toEqual(['POST /v1/traces application/x-protobuf'])
})

test('after a rotation logs of before and after verify, under the first key that was pinned and the new one', async () => {
  const [before = ''] = await runs()
  writeFileSync(join(folder, 'first.key'), (await authority('key', 'export')).out)
  expect((await authority('key', 'rotate')).code).toBe(0)
  const rotated = (await authority('key', 'export')).out
  expect(rotated).not.toBe(readFileSync(join(folder, 'first.key'), 'utf8'))
  writeFileSync(join(folder, 'second.key'), rotated)
  await serve()
  const after = (await runs()).find((id) => id !== before) ?? ''
  for (const run of [before, 'last', after])
    for (const key of ['first.key', 'second.key'])
      expect((await authority('audit', 'verify', run, '--key', key, '--require', 'pinned-key')).code, `${run} ${key}`).toBe(0)
})
