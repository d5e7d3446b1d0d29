/** A host process that swaps folders for links out, again and again: what races with a guest (or a gate) that opens a path through them. */
import { spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the files within say. */
export const WITHIN = 'within'
/** Names that are swapped, each on its own: the guest's kernel keeps what it saw of one for a second. */
export const SWAPPED = 32

/** Makes `swap-N/secret.txt` in `folder` and swaps each `swap-N` with a link to `outside`. The function it returns stops that, and resolves when it is over. */
export function startSwapping(folder: string, outside: string): () => Promise<void> {
  for (let i = 0; i < SWAPPED; i++) {
    mkdirSync(join(folder, `swap-${i}`))
    writeFileSync(join(folder, `swap-${i}`, 'secret.txt'), WITHIN)
    symlinkSync(outside, join(folder, `out-${i}`))
  }
  // A process of its own: it goes on while the test's waits, and ends with its input, whatever happens to the test.
  const child = spawn(process.execPath, ['-e', LOOP, folder, String(SWAPPED)], { stdio: ['pipe', 'ignore', 'ignore'] })
  const over = new Promise<void>((resolve) => child.on('close', () => resolve()))
  return () => {
    child.stdin?.end()
    return over
  }
}

const LOOP = `
const { renameSync } = require('node:fs')
const [folder, count] = process.argv.slice(1)
let over = false
process.stdin.on('end', () => { over = true }).resume()
function swap() {
  for (let i = 0; i < Number(count); i++) {
    const name = (kind) => folder + '/' + kind + '-' + i
    renameSync(name('swap'), name('aside'))
    renameSync(name('out'), name('swap'))
    renameSync(name('aside'), name('out'))
  }
  if (!over) setImmediate(swap)
}
swap()
`
