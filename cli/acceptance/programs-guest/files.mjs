/** What Node programs do with files: prints the same on a host mount and on a plain folder. */
import * as fs from 'node:fs'
import { appendFile, cp, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'

const root = process.argv[2]
const at = (...parts) => join(root, ...parts)
/** What the last of some steps answers. */
const last = (...answers) => answers.at(-1)
async function step(name, work) {
  try {
    console.log(name, JSON.stringify(await work()))
  } catch (error) {
    console.log(name, error.code)
  }
}

await mkdir(root)
await step('writeFile', async () => last(await writeFile(at('a'), 'one\n'), await appendFile(at('a'), 'two\n'), readFile(at('a'), 'utf8')))
await step('exclusive', () => writeFile(at('a'), 'x', { flag: 'wx' }))
await step('absent', () => readFile(at('nothing')))
await step('recursive mkdir', async () => basename((await mkdir(at('d/e/f'), { recursive: true })) ?? ''))
await step('many at once', async () => {
  await Promise.all(Array.from({ length: 100 }, (_, i) => writeFile(at('d', `f${i}`), String(i))))
  return (await Promise.all(Array.from({ length: 100 }, (_, i) => readFile(at('d', `f${i}`), 'utf8')))).join('').length
})
await step('atomic replace', async () =>
  last(await writeFile(at('new'), 'new'), await rename(at('new'), at('a')), readFile(at('a'), 'utf8')),
)
await step('streams', async () => {
  await writeFile(at('big'), Buffer.alloc(1 << 20, 'x'))
  await pipeline(fs.createReadStream(at('big')), createGzip(), fs.createWriteStream(at('big.gz')))
  await pipeline(fs.createReadStream(at('big.gz')), createGunzip(), fs.createWriteStream(at('big2')))
  return (await readFile(at('big2'))).equals(await readFile(at('big')))
})
await step('file handle', async () => {
  const file = await open(at('handle'), 'w+')
  await file.write('abcdef', 10)
  await file.truncate(13)
  await file.sync()
  const { size } = await file.stat()
  const { bytesRead } = await file.read(Buffer.alloc(100), 0, 100, 0)
  await file.close()
  return [size, bytesRead]
})
await step('copy a tree', async () =>
  last(await cp(at('d'), at('copy'), { recursive: true }), (await readdir(at('copy'), { recursive: true })).length),
)
await step('symlink', async () => last(await symlink('a', at('s')), [fs.readlinkSync(at('s')), fs.realpathSync(at('s')).endsWith('/a')]))
await step('access', () => last(fs.chmodSync(at('a'), 0o400), fs.accessSync(at('a'), fs.constants.W_OK)))
await step('times', async () => last(await fs.promises.utimes(at('big'), 1, 2), (await stat(at('big'))).mtimeMs))
await step('mkdtemp', async () => {
  const made = await mkdtemp(at('t-'))
  return [(await stat(made)).isDirectory(), await rm(made, { recursive: true })]
})
await step('opendir', async () => {
  let count = 0
  for await (const _ of await fs.promises.opendir(at('d'))) count++
  return count
})
await step('rm', async () => last(await rm(at('copy'), { recursive: true }), fs.existsSync(at('copy'))))
await step('watch', async () => {
  const seen = new Promise((resolve) => {
    const watcher = fs.watch(at('d'), (_, name) => last(watcher.close(), resolve(name)))
  })
  await writeFile(at('d/seen'), 'x')
  return seen
})
