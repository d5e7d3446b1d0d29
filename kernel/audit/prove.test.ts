import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ensureInstallation, openRunLog } from './index.ts'
import { consistencyProof, inclusionProof, leafHash, rootOf } from './merkle.ts'
import { proveRecord, proveSince, recordAt, signedHead } from './prove.ts'
import { MemoryFs } from './testing/memory-fs.ts'
import { AT_ONCE, begin, HOME, RUN_END, RUN_ID, runStart, testContext, work } from './testing/scenario.ts'
import { TileReader, TileWriter, tilePath } from './tiles.ts'

const path = `${HOME}/${RUN_ID}`

describe('tiles', () => {
  it('have the names of c2sp.org/tlog-tiles', () => {
    expect(tilePath(0, 0, 256)).toBe('tile/0/000')
    expect(tilePath(1, 1234067, 256)).toBe('tile/1/x001/x234/067')
    expect(tilePath(0, 1000, 7)).toBe('tile/0/x001/000.p/7')
  })

  it('give every root and proof that the definition gives, across the edges of tiles', () => {
    for (const size of [1, 2, 255, 256, 257, 513, 1000]) {
      const fs = new MemoryFs()
      fs.makeFolder('/t')
      const writer = new TileWriter(fs, '/t')
      const entries = Array.from({ length: size }, (_, i) => new TextEncoder().encode(`entry ${i}`))
      for (const entry of entries) writer.add(entry)
      writer.finish()
      const leaves = entries.map(leafHash)
      const tiles = new TileReader(fs, '/t', size)
      expect(tiles.root()).toEqual(rootOf(leaves))
      for (const index of new Set([0, 1, 254, 255, 256, 300, 511, 512, size - 2, size - 1])) {
        if (index < 0 || index >= size) continue
        expect(tiles.inclusion(index), `${index} of ${size}`).toEqual(inclusionProof(index, leaves))
        expect(tiles.consistency(index + 1), `${index + 1} to ${size}`).toEqual(consistencyProof(index + 1, leaves))
      }
    }
  })
})

describe('prove', () => {
  async function sealed(): Promise<{ fs: MemoryFs; early: string }> {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { segmentBytes: () => 4096 + 8000 })
    await work(log, 3)
    await log.checkpoint()
    const early = signedHead(path, fs).note
    await work(log, 8)
    await log.seal(RUN_END)
    return { fs, early }
  }

  it('writes a tlog-proof of any record, from tiles that are made once', async () => {
    const { fs } = await sealed()
    const { checkpoint, note } = signedHead(path, fs)
    for (let seq = 0; seq < checkpoint.size; seq++) {
      const proof = proveRecord(path, seq, fs)
      expect(proof.fromStoredTiles).toBe(seq > 0)
      expect(new TextDecoder().decode(proof.record)).toContain(`{"seq":${seq},`)
      expect(proof.text.startsWith(`c2sp.org/tlog-proof@v1\nindex ${seq}\n`)).toBe(true)
      expect(proof.text.endsWith(`\n\n${note}`)).toBe(true)
    }
    expect(() => proveRecord(path, checkpoint.size, fs)).toThrow('not covered')
  })

  it('shows that an earlier checkpoint is the beginning, as a witness asks for it', async () => {
    const { fs, early } = await sealed()
    const proof = proveSince(path, early, fs)
    expect(proof.text.startsWith(`old ${proof.since.size}\n`)).toBe(true)
    expect(() => proveSince(path, early.replace('\n', 'x\n'), fs)).toThrow('no checkpoint of this log')
  })

  it('makes tiles again that are gone or wrong, and refuses records the root does not cover', async () => {
    const home = mkdtempSync(join(tmpdir(), 'authority-audit-'))
    folders.push(home)
    const installation = await ensureInstallation(home)
    const log = await openRunLog({ path: join(home, 'run'), installation, start: runStart(installation), ...AT_ONCE })
    await work(log, 50)
    await log.seal(RUN_END)
    const file = join(log.path, 'tlog/tile/0/000')
    expect(proveRecord(log.path, 7).fromStoredTiles).toBe(false)
    expect(proveRecord(log.path, 7).fromStoredTiles).toBe(true)
    const tile = readFileSync(file)
    writeFileSync(file, tile.subarray(0, 64))
    expect(proveRecord(log.path, 7).fromStoredTiles).toBe(false)
    writeFileSync(file, Buffer.alloc(tile.length))
    expect(proveRecord(log.path, 7).fromStoredTiles).toBe(false)
    rmSync(join(log.path, 'tlog'), { recursive: true })
    const segment = join(log.path, 'seg-00000000.log')
    const bytes = readFileSync(segment)
    bytes[4096 + 100] = (bytes[4096 + 100] ?? 0) ^ 1
    writeFileSync(segment, bytes)
    expect(() => proveRecord(log.path, 0)).toThrow('not what its last checkpoint signed')
    expect(() => recordAt(log.path, 0)).toThrow('not what its last checkpoint signed')
  })

  const folders: string[] = []
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })
})
