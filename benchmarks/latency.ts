import { join } from 'node:path'
import { BenchClient, roundTrips } from './client.ts'
import { scratchFolder, startServer } from './server-process.ts'
import { atMost, median, type Row } from './statistics.ts'

const ROUNDS = 5
const WARM_UP = 2_000
const SAMPLES = 4_000

/** An admitted effect that does nothing, one client, no wait for the disk, against an echo in the same runtime. Rounds alternate, medians of medians. */
export async function latencySuite(): Promise<readonly Row[]> {
  const scratch = scratchFolder()
  const echo = await startServer('echo', [join(scratch.path, 'echo.sock')])
  const gate = await startServer('gate', [join(scratch.path, 'gate.sock'), join(scratch.path, 'home'), 'written'])
  const clients = { echo: new BenchClient(), gate: new BenchClient() }
  try {
    await clients.echo.connect(join(scratch.path, 'echo.sock'))
    await clients.gate.connect(join(scratch.path, 'gate.sock'))
    const rounds = { echo: [] as number[], gate: [] as number[] }
    for (const name of ['echo', 'gate'] as const) await roundTrips(clients[name], WARM_UP)
    for (let i = 0; i < ROUNDS; i++)
      for (const name of ['echo', 'gate'] as const) rounds[name].push(median(await roundTrips(clients[name], SAMPLES)))
    const [floor, ours] = [median(rounds.echo), median(rounds.gate)]
    return [
      atMost(
        'admitted no-op effect p50, no disk wait, against an echo',
        `${ours.toFixed(1)} µs against ${floor.toFixed(1)} µs`,
        ours / floor,
        1.6,
      ),
    ]
  } finally {
    clients.echo.close()
    clients.gate.close()
    await Promise.all([echo.stop(), gate.stop()])
    scratch.remove()
  }
}
