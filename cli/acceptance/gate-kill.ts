import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { BINARY, brokenPromises, isAlive, load, recovered, startGate } from './gate-load.ts'
import { waitGone } from './machine-support.ts'

const CLIENTS = 4
/** The moment is the nth answer, 1…this. */
const MOST_ANSWERS = 160
/** ms a gate has to be gone after its supervisor. */
const GATE_END_MS = 10_000

export interface KillReport {
  readonly answers: number
  readonly broken: readonly string[]
}

/** One gate under load, SIGKILLed with the nth answer (`seed` chooses n, and whether the gate or its supervisor dies). */
export async function killRound(seed: number): Promise<KillReport> {
  // A supervisor that is killed takes its gate with it, and nobody is left who knows a socket outside the run's folder.
  const killSupervisor = seed % 4 === 3
  const world = await startGate({ ownSocket: killSupervisor })
  try {
    // A small generator is enough: the moment within an effect is the scheduler's to choose.
    const moment = 1 + ((Math.imul(seed, 2_654_435_761) >>> 0) % MOST_ANSWERS)
    const victim = killSupervisor ? (world.supervisor.pid ?? 0) : world.gatePid
    let answers = 0
    const onAnswer = (): void => {
      answers += 1
      if (answers === moment) process.kill(victim, 'SIGKILL')
    }
    const ended = new Promise<void>((done) => world.supervisor.once('exit', () => done()))
    await Promise.all(Array.from({ length: CLIENTS }, (_, i) => load(world, i, onAnswer, () => false)))
    await ended
    const outlived = waitGone(world.gatePid, GATE_END_MS) ? [] : [`the gate outlives what was killed by ${GATE_END_MS} ms`]
    const { verdict, records } = await recovered(world)
    const broken = [...outlived, ...brokenPromises(world, verdict, records), ...leftovers(world)]
    return { answers, broken: broken.map((sentence) => `seed ${seed}: ${sentence}`) }
  } finally {
    await world.close()
  }
}

/** The next start of any command cleans up what a killed one could not. */
function leftovers({ home, run, gatePid, socket }: Awaited<ReturnType<typeof startGate>>): string[] {
  const left: string[] = []
  if (isAlive(gatePid)) left.push(`the gate's process ${gatePid} is alive`)
  const next = spawnSync(BINARY, ['runs', 'ls'], { env: { PATH: process.env.PATH ?? '', AUTHORITY_HOME: home }, encoding: 'utf8' })
  if (next.status !== 0) left.push(`the next command ends with ${next.status}: ${next.stderr}`)
  for (const name of readdirSync(join(home, 'runs', run))) if (/sock|token|tmp|\.new/.test(name)) left.push(`runs/ID/${name} is left`)
  if (existsSync(socket)) left.push('the socket is left')
  return left
}
