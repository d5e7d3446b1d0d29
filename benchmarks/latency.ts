import { join } from 'node:path'
import { BenchClient, roundTrips } from './client.ts'
import { canPin, pin, scratchFolder, startServer } from './server-process.ts'
import { atMost, median, type Row } from './statistics.ts'

const ROUNDS = 5
const WARM_UP = 2_000
const SAMPLES = 4_000
const MOST = 1.6

/**
 * An admitted effect that does nothing, one client, no wait for the disk, against an echo in the same runtime. Rounds alternate, medians of medians. Where the
 * system puts the two ends decides as much as the gate does (a wake-up across cores costs more than the echo), so both places are measured as well.
 */
export async function latencySuite(): Promise<readonly Row[]> {
  const rows = [await against('wherever the system puts both ends', null)]
  if (!canPin()) return rows
  rows.push(await against('both ends on one core', { client: 0, server: 0 }))
  rows.push(await against('each end on a core of its own', { client: 0, server: 1 }))
  pin(process.pid, null)
  return rows
}

async function against(where: string, cores: { readonly client: number; readonly server: number } | null): Promise<Row> {
  const scratch = scratchFolder()
  const echo = await startServer('echo', [join(scratch.path, 'echo.sock')])
  const gate = await startServer('gate', [join(scratch.path, 'gate.sock'), join(scratch.path, 'home'), 'written'])
  const clients = { echo: new BenchClient(), gate: new BenchClient() }
  try {
    if (cores !== null) {
      pin(process.pid, cores.client)
      for (const { pid } of [echo, gate]) pin(pid, cores.server)
    }
    await clients.echo.connect(join(scratch.path, 'echo.sock'))
    await clients.gate.connect(join(scratch.path, 'gate.sock'))
    const rounds = { echo: [] as number[], gate: [] as number[] }
    for (const name of ['echo', 'gate'] as const) await roundTrips(clients[name], WARM_UP)
    for (let i = 0; i < ROUNDS; i++)
      for (const name of ['echo', 'gate'] as const) rounds[name].push(median(await roundTrips(clients[name], SAMPLES)))
    const [floor, ours] = [median(rounds.echo), median(rounds.gate)]
    return atMost(
      `admitted no-op effect p50, no disk wait, against an echo, ${where}`,
      `${ours.toFixed(1)} µs against ${floor.toFixed(1)} µs`,
      ours / floor,
      MOST,
    )
  } finally {
    clients.echo.close()
    clients.gate.close()
    await Promise.all([echo.stop(), gate.stop()])
    scratch.remove()
  }
}
