/** conformance.py in one VM of the compiled binary and on the plain host, against servers of their own. */
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, runProgram } from '../../process/run-program.ts'
import type { Where } from './differential-run.ts'
import { openServer } from './differential-server.ts'

const BINARY = join(import.meta.dirname, '../../../dist/authority')
const PROGRAM = join(import.meta.dirname, 'conformance.py')

/** What each case came to, by its name. */
export type Outcomes = Readonly<Record<string, string>>

export interface Difference {
  readonly vm: string
  readonly host: string
}

/** The cases that differ; an outcome that is missing is empty. */
export async function conform(where: Where): Promise<{ readonly cases: number; readonly differing: Readonly<Record<string, Difference>> }> {
  const [vm, host] = [await inMachine(where), await onHost(where)]
  const names = [...new Set([...Object.keys(host), ...Object.keys(vm)])]
  const differing = names.filter((name) => vm[name] !== host[name]).map((name) => [name, { vm: vm[name] ?? '', host: host[name] ?? '' }])
  return { cases: names.length, differing: Object.fromEntries(differing) }
}

function inMachine(where: Where): Promise<Outcomes> {
  const at = (name: string): string => join(where.folder, name)
  return outcomes(where, (ports) => {
    const net = { connect: ports.map((port) => `dns:peer.test:${port}`) }
    writeFileSync(at('policy.json'), JSON.stringify({ version: '1.0', profiles: ['python'], fs: { read: ['/**'] }, net }))
    copyFileSync(PROGRAM, at('conformance.py'))
    const flags = ['--policy', at('policy.json'), '--host', 'peer.test=127.0.0.1', '--accel', 'tcg']
    return [BINARY, 'run', at('conformance.py'), ...flags, '--', 'peer.test', ...ports]
  })
}

const onHost = (where: Where): Promise<Outcomes> =>
  outcomes(where, (ports) => [findProgram('python3') ?? 'python3', PROGRAM, '127.0.0.1', ...ports])

async function outcomes(where: Where, line: (ports: readonly string[]) => readonly string[]): Promise<Outcomes> {
  const server = await openServer()
  const env = { PATH: process.env.PATH ?? '', HOME: where.folder, AUTHORITY_HOME: where.home }
  const run = await runProgram(line([server.port, server.closedPort].map(String)), { env, deadlineMs: where.deadlineMs })
  await server.over(0)
  const told = Buffer.from(run.stdout).toString()
  if (run.code !== 0) throw new Error(`exit code ${run.code} ${told}\n${run.stderr}`)
  return Object.fromEntries([...told.matchAll(/^([^:\n]+): (.*)$/gm)].map(([, name = '', outcome = '']) => [name, outcome]))
}
