import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { builtBinary } from './binary.ts'
import { scratchFolder } from './server-process.ts'
import { atMost, median, type Row } from './statistics.ts'

const ROUNDS = 40

/** `authority version` against an empty program compiled by the same Bun. */
export async function startupSuite(): Promise<readonly Row[]> {
  const binary = builtBinary()
  const scratch = scratchFolder()
  try {
    const empty = join(scratch.path, 'empty')
    writeFileSync(join(scratch.path, 'empty.ts'), '')
    const built = Bun.spawnSync([
      process.execPath,
      'build',
      '--compile',
      '--minify',
      '--bytecode',
      '--format=esm',
      join(scratch.path, 'empty.ts'),
      `--outfile=${empty}`,
    ])
    if (!built.success) throw new Error(`the empty program does not build: ${built.stderr}`)
    const samples = { empty: [] as number[], ours: [] as number[] }
    for (let i = 0; i < ROUNDS; i++) {
      samples.empty.push(spawnMs([empty]))
      samples.ours.push(spawnMs([binary, 'version']))
    }
    const [floor, ours] = [median(samples.empty), median(samples.ours)]
    return [
      atMost(
        '`authority version` against an empty compiled program',
        `${ours.toFixed(1)} ms against ${floor.toFixed(1)} ms`,
        ours / floor,
        3,
      ),
    ]
  } finally {
    scratch.remove()
  }
}

function spawnMs(command: string[]): number {
  const started = performance.now()
  const run = Bun.spawnSync(command, { stdout: 'ignore', stderr: 'ignore' })
  if (!run.success) throw new Error(`\`${command.join(' ')}\` failed: run it by hand to see why`)
  return performance.now() - started
}
