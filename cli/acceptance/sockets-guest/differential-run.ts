/** Scripts of socket operations in one VM of the compiled binary and on the plain host, against servers of their own. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../process/run-program.ts'
import { compileStatic } from '../vm-support.ts'
import { connectionsOf, differences, type Outcome, operations } from './differential.ts'
import { openServer } from './differential-server.ts'

const BINARY = join(import.meta.dirname, '../../../dist/authority')

export interface Where {
  /** For everybody to enter; it gets `operations` and `scripts`. */
  readonly folder: string
  readonly home: string
  readonly deadlineMs: number
}

/** One sentence for each seed that differs. */
export async function compare(where: Where, seeds: readonly number[], count: number): Promise<string[]> {
  const scripts = new Map(seeds.map((seed) => [String(seed), operations(seed, count)]))
  await prepare(where, scripts)
  return differences(seeds, count, await inMachine(where, scripts), await onHost(where, scripts))
}

type Scripts = ReadonlyMap<string, string>

export async function prepare({ folder }: Where, scripts: Scripts): Promise<void> {
  mkdirSync(join(folder, 'scripts'), { recursive: true })
  chmodSync(folder, 0o755)
  for (const [name, text] of scripts) writeFileSync(join(folder, 'scripts', name), text)
  await compileStatic(join(import.meta.dirname, 'operations.c'), join(folder, 'operations'))
}

export function inMachine(where: Where, scripts: Scripts): Promise<Outcome> {
  const at = (name: string): string => join(where.folder, name)
  return outcome(where, scripts, (ports) => {
    const net = { connect: ports.map((port) => `dns:peer.test:${port}`) }
    writeFileSync(at('policy.json'), JSON.stringify({ version: '1.0', profiles: ['tier1-musl'], fs: { read: ['/scripts/**'] }, net }))
    const flags = ['--policy', at('policy.json'), '--host', 'peer.test=127.0.0.1', '-v', `${at('scripts')}:/scripts:ro`, '--accel', 'tcg']
    return [
      BINARY,
      'run',
      at('operations'),
      ...flags,
      '--',
      'peer.test',
      ...ports,
      ...[...scripts.keys()].map((each) => `/scripts/${each}`),
    ]
  })
}

function onHost(where: Where, scripts: Scripts): Promise<Outcome> {
  const paths = [...scripts.keys()].map((each) => join(where.folder, 'scripts', each))
  return outcome(where, scripts, (ports) => [join(where.folder, 'operations'), '127.0.0.1', ...ports, ...paths])
}

async function outcome(where: Where, scripts: Scripts, line: (ports: readonly string[]) => readonly string[]): Promise<Outcome> {
  const server = await openServer()
  const env = { HOME: where.folder, AUTHORITY_HOME: where.home }
  const run = await runProgram(line([server.port, server.closedPort].map(String)), { env, deadlineMs: where.deadlineMs })
  const expected = [...scripts.values()].reduce((sum, script) => sum + connectionsOf(script), 0)
  const connections = await server.over(expected)
  if (run.code !== 0) throw new Error(`exit code ${run.code} ${run.stderr}`)
  return { answers: Buffer.from(run.stdout).toString(), connections }
}
