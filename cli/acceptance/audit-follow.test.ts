import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { expect, test } from 'vitest'
import { GateClient } from './gate-client.ts'
import { BINARY, type GateWorld, startGate } from './gate-load.ts'
import { waitGone } from './machine-support.ts'

/** READ | WRITE | CREATE of fs.open. */
const FLAGS = 1 | 2 | 8
const GATE_END_MS = 10_000
const PYTHON = join(resolve(import.meta.dirname, '../..'), 'sdks', 'python', 'src')

interface Shown {
  readonly type: string
  readonly object?: string
  readonly status?: string
}

const env = (world: GateWorld): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  AUTHORITY_HOME: world.home,
  PYTHONPATH: PYTHON,
  PYTHONDONTWRITEBYTECODE: '1',
})

const authority = (world: GateWorld, ...args: readonly string[]) => spawnSync(BINARY, args, { env: env(world), encoding: 'utf8' })

/** Reads on until a record is like this one. */
async function until(lines: AsyncIterator<string>, like: Partial<Shown>): Promise<void> {
  for (;;) {
    const { value, done } = await lines.next()
    if (done) throw new Error(`it ended before ${JSON.stringify(like)}`)
    const record = JSON.parse(value as string) as Shown
    if (Object.entries(like).every(([member, wanted]) => record[member as keyof Shown] === wanted)) return
  }
}

test('a log is followed while its gate works, past its death, to the end that the next command writes; verify then says 2', async () => {
  const world = await startGate()
  let follower: ChildProcess | null = null
  let lines: Interface | null = null
  try {
    const client = await GateClient.connect(world.socket)
    follower = spawn(BINARY, ['audit', 'show', world.run, '--follow', '--json'], {
      env: env(world),
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const ended = new Promise<number | null>((done) => follower?.once('exit', done))
    lines = createInterface({ input: follower.stdout as NonNullable<ChildProcess['stdout']> })
    const records = lines[Symbol.asyncIterator]()
    await until(records, { type: 'RUN_START' })
    for (const name of ['one', 'two']) {
      expect(await client.call('fs.open', [`/work/${name}`, FLAGS, 0o600])).not.toBeTypeOf('string')
      await until(records, { type: 'INTENT', object: `/work/${name}` })
      await until(records, { type: 'OUTCOME', status: 'ok' })
    }
    expect(authority(world, 'audit', 'verify', world.run).status).toBe(3)
    process.kill(world.gatePid, 'SIGKILL')
    expect(waitGone(world.gatePid, GATE_END_MS)).toBe(true)
    client.close()
    authority(world, 'runs', 'ls')
    await until(records, { type: 'RUN_END' })
    expect(await ended).toBe(0)
    expect(authority(world, 'audit', 'verify', world.run)).toMatchObject({ status: 2 })
    const folder = join(world.home, 'runs', world.run, 'audit')
    const other = ['-m', 'authority.audit', 'verify', folder, '--installation', join(world.home, 'installation')]
    expect(spawnSync('python3', other, { env: env(world), encoding: 'utf8' })).toMatchObject({ status: 2 })
  } finally {
    lines?.close()
    follower?.kill('SIGKILL')
    await world.close()
  }
})
