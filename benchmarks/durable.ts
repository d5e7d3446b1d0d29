import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { BenchClient, roundTrips } from './client.ts'
import { scratchFolder, startServer } from './server-process.ts'
import { atLeast, atMost, median, type Row } from './statistics.ts'

const ROUNDS = 5
const SAMPLES = 150
const FLOOD = 4_000
const IN_FLIGHT = 64
/** Bytes of two records of an effect, about. */
const RECORD = new Uint8Array(600).fill(120)

/** A durable effect against two bare write+fdatasync on the same file system; and 64 in flight against one flush pair per effect. */
export async function durableSuite(): Promise<readonly Row[]> {
  const scratch = scratchFolder()
  const gate = await startServer('gate', [join(scratch.path, 'gate.sock'), join(scratch.path, 'home'), 'durable'])
  const client = new BenchClient()
  const file = openSync(join(scratch.path, 'bare'), 'w')
  try {
    await client.connect(join(scratch.path, 'gate.sock'))
    await roundTrips(client, SAMPLES)
    const bare: number[] = []
    const ours: number[] = []
    const pairs: number[] = []
    const group: number[] = []
    for (let i = 0; i < ROUNDS; i++) {
      const floor = flushPairs(file, SAMPLES)
      bare.push(median(floor))
      pairs.push(1e6 / (floor.reduce((sum, sample) => sum + sample, 0) / floor.length))
      ours.push(median(await roundTrips(client, SAMPLES)))
      group.push((FLOOD * 1000) / (await client.flood(FLOOD, IN_FLIGHT)))
    }
    return [
      atMost(
        'durable effect p50 against two bare write+fdatasync',
        `${median(ours).toFixed(0)} µs against ${median(bare).toFixed(0)} µs`,
        median(ours) / median(bare),
        1.5,
      ),
      atLeast(
        `${IN_FLIGHT} in flight against one flush pair per effect`,
        `${median(group).toFixed(0)}/s against ${median(pairs).toFixed(0)}/s`,
        median(group) / median(pairs),
        15,
      ),
    ]
  } finally {
    closeSync(file)
    client.close()
    await gate.stop()
    scratch.remove()
  }
}

/** µs of each pair of write+fdatasync. */
function flushPairs(file: number, count: number): number[] {
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const started = Bun.nanoseconds()
    for (let half = 0; half < 2; half++) {
      writeSync(file, RECORD)
      fdatasyncSync(file)
    }
    samples.push((Bun.nanoseconds() - started) / 1000)
  }
  return samples
}
