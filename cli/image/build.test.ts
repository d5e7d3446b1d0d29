import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildCached, buildImage, prepareImage } from './build.ts'
import { withMountPoints } from './derive.ts'
import { ImageError } from './errors.ts'
import { openChecked } from './image-file.ts'
import { imageTotals, imageTree, readImagePolicy, readManifest } from './inspect.ts'
import { hostArch } from './plan.ts'
import type { BuildTools } from './sdk-files.ts'
import { ImageStore } from './store.ts'
import { makeElf } from './testing.ts'

let dir = ''
let tools: BuildTools
let store: ImageStore
const FACTS = { installation: 'inst', builtAt: '2026-01-01T00:00:00Z' }
const hasCc = existsSync('/usr/bin/gcc')

beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'build-')))
  tools = {
    cacheDir: join(dir, 'cache'),
    version: '0.1.0',
    bun: { [hostArch()]: process.execPath },
    sdk: { python: new Map([['authority/__init__.py', Buffer.from('')]]), typescript: Buffer.from('export const name = "sdk"\n') },
  }
  store = new ImageStore(join(dir, 'images'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function staticProgram(name = 'agent', machine?: number): string {
  const path = join(dir, name)
  writeFileSync(path, makeElf(machine === undefined ? {} : { machine }))
  return path
}

describe('static programs', () => {
  test('the image says what it is and holds the program, and nothing of this machine', async () => {
    const policy = Buffer.from('{"version":"1.0"}')
    const program = staticProgram('My Agent')
    const { meta, manifest } = await buildImage(
      { program, arch: 'x86_64', args: ['--fast'], env: { MODE: 'x' }, policy },
      tools,
      store,
      FACTS,
    )
    expect(meta).toMatchObject({ name: 'my-agent', builtBy: 'inst' })
    const image = store.open('my-agent')
    expect(readManifest(image.reader)).toEqual(manifest)
    expect(manifest).toMatchObject({
      kind: 'static',
      arch: 'x86_64',
      argv: ['/app/My Agent', '--fast'],
      cwd: '/app',
      profiles: ['tier1-musl'],
    })
    expect(manifest.env).toMatchObject({ MODE: 'x', HOME: '/home/agent' })
    expect(readImagePolicy(image.reader)?.equals(policy)).toBe(true)
    expect(image.reader.readFile('/app/My Agent', 10_000).equals(readFileSync(program))).toBe(true)
    for (const path of ['/proc', '/dev', '/sys', '/run', '/tmp', '/workspace', '/home/agent', '/mnt', '/data'])
      expect(image.reader.stat(path)?.kind).toBe('dir')
    expect(image.reader.stat('/tmp')?.mode).toBe(0o1777)
    expect(imageTotals(image.reader).files).toBe([...imageTree(image.reader)].filter((line) => line.kind === 'file').length)
    image.close()
    expect(readFileSync(meta.path).includes(dir)).toBe(false)
    expect(readFileSync(meta.path).includes(process.env.PATH ?? '?')).toBe(false)
    expect(statSync(meta.path).mode & 0o777).toBe(0o600)
  })

  test('same inputs, same bytes, wherever they lie', async () => {
    const one = staticProgram()
    mkdirSync(join(dir, 'elsewhere'))
    const two = join(dir, 'elsewhere', 'agent')
    writeFileSync(two, readFileSync(one))
    for (const path of [one, two]) utimesSync(path, 1_700_000_000, 1_700_000_000)
    const first = await buildImage({ program: one, name: 'x' }, tools, store, FACTS)
    const second = await buildImage({ program: two, name: 'x' }, { ...tools, cacheDir: join(dir, 'other') }, store, FACTS)
    expect(second.meta.sha256).toBe(first.meta.sha256)
  })

  test('another architecture is refused with both names; asked for, it is built', async () => {
    const program = staticProgram('foreign', 0xb7)
    await expect(buildImage({ program, arch: 'x86_64' }, tools, store, FACTS)).rejects.toThrow(
      /program for aarch64, and the image is for x86_64/,
    )
    expect((await buildImage({ program }, tools, store, FACTS)).manifest.arch).toBe('aarch64')
  })

  test('extra files go where they are told, and nowhere else', async () => {
    mkdirSync(join(dir, 'data'))
    writeFileSync(join(dir, 'data/x'), 'content')
    const program = staticProgram()
    await buildImage({ program, extras: [{ host: join(dir, 'data'), guest: '/srv/data' }] }, tools, store, FACTS)
    const image = store.open('agent')
    expect(image.reader.readFile('/srv/data/x', 100).toString()).toBe('content')
    image.close()
    await expect(buildImage({ program, extras: [{ host: join(dir, 'data'), guest: '/ak' }] }, tools, store, FACTS)).rejects.toThrow(
      /\/ak is not for files/,
    )
    await expect(buildImage({ program, extras: [{ host: join(dir, 'gone'), guest: '/x' }] }, tools, store, FACTS)).rejects.toThrow(/ENOENT/)
  })
})

describe.runIf(hasCc && process.platform === 'linux')('dynamic programs', () => {
  test('the loader and the C library come along', async () => {
    writeFileSync(join(dir, 'a.c'), 'int main(void) { return 0; }')
    execFileSync('gcc', ['-o', join(dir, 'dyn'), join(dir, 'a.c')])
    const { manifest } = await buildImage({ program: join(dir, 'dyn') }, tools, store, FACTS)
    expect(manifest).toMatchObject({ kind: 'dynamic', profiles: ['tier2-glibc'] })
    const image = store.open('dyn')
    const paths = [...imageTree(image.reader)].map((line) => line.path)
    expect(paths.some((path) => path.endsWith('/libc.so.6'))).toBe(true)
    expect(paths.some((path) => /\/ld-linux/.test(path))).toBe(true)
    image.close()
  })
})

describe('TypeScript', () => {
  const build = (text: string, name = 'agent.ts') => {
    mkdirSync(join(dir, 'project'), { recursive: true })
    writeFileSync(join(dir, 'project/package.json'), '{}')
    writeFileSync(join(dir, 'project', name), text)
    return buildImage({ program: join(dir, 'project', name) }, tools, store, FACTS)
  }

  test('is bundled; the SDK lies beside it under both names', async () => {
    writeFileSync(join(dir, 'secret'), 'top')
    const { manifest } = await build(
      `import { name } from 'authority'\nimport * as sdk from '@authority/sdk'\nconsole.log(name as string, sdk)\n`,
    )
    expect(manifest).toMatchObject({ kind: 'typescript', profiles: ['bun'], cwd: '/app' })
    const image = store.open('agent')
    expect(image.reader.readFile('/app/agent.js', 10_000).toString()).not.toMatch(/as string/)
    expect(image.reader.readFile('/app/node_modules/@authority/sdk/index.js', 100).toString()).toMatch(/sdk/)
    expect(image.reader.stat('/app/node_modules/authority')?.kind).toBe('symlink')
    expect(image.reader.stat('/usr/bin/bun')?.size).toBe(statSync(process.execPath).size)
    image.close()
  })

  test('bundling runs none of it: a macro is an error and leaves no trace', async () => {
    const trace = join(dir, 'trace')
    mkdirSync(join(dir, 'project'))
    writeFileSync(
      join(dir, 'project/m.ts'),
      `import { writeFileSync } from 'node:fs'\nexport const run = () => { writeFileSync(${JSON.stringify(trace)}, ''); return 1 }\n`,
    )
    await expect(build(`import { run } from './m.ts' with { type: 'macro' }\nconsole.log(run())\n`)).rejects.toThrow(/Macros are disabled/)
    expect(existsSync(trace)).toBe(false)
  })

  test('a file outside the project does not come in', async () => {
    writeFileSync(join(dir, 'key.txt'), 'private')
    await expect(build(`import key from '../key.txt' with { type: 'text' }\nconsole.log(key)\n`)).rejects.toThrow(/outside its project/)
  })

  test('a missing package is named', async () => {
    await expect(build(`import x from 'no-such-package-here'\nconsole.log(x)\n`)).rejects.toThrow(
      /Could not resolve: "no-such-package-here"/,
    )
  })
})

describe('what is no program', () => {
  test.each([
    ['notes.txt', 'hello', /not a program Authority knows/],
    ['run.sh', '#!/bin/sh\necho hi\n', /script for \/bin\/sh/],
    ['empty', '', /not a program/],
  ])('%s', async (name, content, message) => {
    writeFileSync(join(dir, name), content)
    await expect(buildImage({ program: join(dir, name) }, tools, store, FACTS)).rejects.toThrow(message)
    expect(existsSync(join(dir, 'images'))).toBe(false)
  })

  test('missing, and a folder without an entry', async () => {
    await expect(buildImage({ program: join(dir, 'gone') }, tools, store, FACTS)).rejects.toMatchObject({ fault: 'not-found' })
    mkdirSync(join(dir, 'folder'))
    await expect(buildImage({ program: join(dir, 'folder') }, tools, store, FACTS)).rejects.toThrow(/no program to start/)
  })
})

describe('the store', () => {
  test('building again replaces; ls, rm, missing', async () => {
    const program = staticProgram()
    const first = await buildImage({ program }, tools, store, FACTS)
    writeFileSync(program, Buffer.concat([readFileSync(program), Buffer.from('changed')]))
    const second = await buildImage({ program }, tools, store, FACTS)
    expect(second.meta.sha256).not.toBe(first.meta.sha256)
    expect(readdirSync(join(dir, 'images/agent')).sort()).toEqual(['image-'.concat(second.meta.sha256.slice(0, 16), '.erofs'), 'meta.json'])
    expect(store.list()).toEqual([{ name: 'agent', meta: second.meta }])
    store.remove('agent')
    expect(store.list()).toEqual([])
    expect(() => store.open('agent')).toThrow(/there is no image "agent"/)
    expect(() => store.remove('../images')).toThrow(ImageError)
  })

  test('a tampered image is refused before anything reads it; damaged facts are named and still removable', async () => {
    const { meta } = await buildImage({ program: staticProgram() }, tools, store, FACTS)
    const bytes = readFileSync(meta.path)
    bytes[5000] = (bytes[5000] ?? 0) ^ 1
    writeFileSync(meta.path, bytes)
    expect(() => store.open('agent')).toThrow(/not the one that was built/)
    writeFileSync(join(dir, 'images/agent/meta.json'), '{')
    expect(() => store.get('agent')).toThrow(/damaged/)
    expect(store.list()).toMatchObject([{ name: 'agent', problem: expect.stringMatching(/damaged/) }])
    writeFileSync(join(dir, 'images/agent/meta.json'), '{"version": 99}')
    expect(() => store.get('agent')).toThrow(/another version/)
    store.remove('agent')
  })

  test('an image file that is a symlink is not followed', async () => {
    const { meta } = await buildImage({ program: staticProgram() }, tools, store, FACTS)
    const moved = join(dir, 'moved')
    execFileSync('mv', [meta.path, moved])
    execFileSync('ln', ['-s', moved, meta.path])
    expect(() => openChecked(meta)).toThrow(/ELOOP/)
  })

  test('a program that changes while it is built leaves nothing behind', async () => {
    const program = staticProgram()
    const prepared = await prepareImage({ program }, tools)
    writeFileSync(program, Buffer.alloc(9000))
    expect(() => store.put('agent', prepared.root, { builtBy: 'inst', policyId: null, builtAt: FACTS.builtAt })).toThrow(/changed while/)
    expect(readdirSync(join(dir, 'images'))).toEqual([])
  })

  test.each(['Agent', 'a.b', '-x', '', '../x', 'a/b', 'x'.repeat(65)])('%j is no name for an image', async (name) => {
    await expect(buildImage({ program: staticProgram(), name }, tools, store, FACTS)).rejects.toThrow(/cannot name an image/)
  })

  test.runIf(process.getuid?.() !== 0)('a folder that cannot be written is one clear error', async () => {
    mkdirSync(join(dir, 'images'))
    chmodSync(join(dir, 'images'), 0o500)
    await expect(buildImage({ program: staticProgram() }, tools, store, FACTS)).rejects.toThrow(/cannot be written/)
  })
})

describe('the cache', () => {
  test('a program is built once and again when it changes or the cache is damaged', async () => {
    const program = staticProgram()
    const once = async () => {
      const image = await buildCached({ program }, tools)
      image.close()
      return image
    }
    const first = await once()
    const { ino } = statSync(first.path)
    expect(statSync((await once()).path).ino).toBe(ino)
    truncateSync(first.path, 5000)
    const repaired = await once()
    expect(repaired).toMatchObject({ path: first.path, sha256: first.sha256 })
    writeFileSync(program, Buffer.concat([readFileSync(program), Buffer.from('changed')]))
    expect((await once()).sha256).not.toBe(first.sha256)
  })

  test('mount points that are missing are made in a derived image, the same each time', async () => {
    const program = staticProgram()
    const open = () => buildCached({ program }, tools)
    const same = await withMountPoints(await open(), { folders: ['/workspace', '/mnt'], files: [] }, tools.cacheDir)
    expect(same.path).toMatch(/programs/)
    same.close()
    const derived = await withMountPoints(await open(), { folders: ['/src/deep', '/workspace'], files: [] }, tools.cacheDir)
    expect(derived.path).toMatch(/derived/)
    expect(derived.reader.stat('/src/deep')?.kind).toBe('dir')
    expect(readManifest(derived.reader).argv).toEqual(['/app/agent'])
    derived.close()
    const again = await withMountPoints(await open(), { folders: ['/workspace', '/src/deep', '/src/deep'], files: [] }, tools.cacheDir)
    expect(again.sha256).toBe(derived.sha256)
    again.close()
    const image = await open()
    await expect(withMountPoints(image, { folders: ['/etc/passwd'], files: [] }, tools.cacheDir)).rejects.toThrow(
      /no folder can be mounted at .*it is a file in the image/,
    )
    const file = await withMountPoints(image, { folders: [], files: ['/etc/passwd', '/etc/app/settings.json'] }, tools.cacheDir)
    expect(file.reader.stat('/etc/app/settings.json')).toMatchObject({ kind: 'file', size: 0 })
    await expect(withMountPoints(file, { folders: [], files: ['/etc/app'] }, tools.cacheDir)).rejects.toThrow(/it is a folder in the image/)
    file.close()
  })
})
