import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { BenchClient, roundTrips } from './client.ts'
import { scratchFolder, startServer } from './server-process.ts'
import { atLeast, atMost, median, type Row } from './statistics.ts'

const ROUNDS = 5
const SAMPLES = 150
const FLOOD = 4_000
const IN_FLIGHT = 64
/** Effects in flight together after which nothing of the gate is still being compiled. */
const WARM_UP = 20_000
/** Bytes of two records of an effect, about. */
const RECORD = new Uint8Array(600).fill(120)

/** A durable effect against two bare write+fdatasync on the same file system; and 64 in flight against one flush pair per effect, while a gate is new and the engine still compiles it, and later. */
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
    const [pairs, group]: [number[], number[]] = [[], []]
    for (let i = 0; i < ROUNDS; i++) {
      const floor = flushPairs(file, SAMPLES)
      bare.push(median(floor))
      pairs.push(perSecond(floor))
      ours.push(median(await roundTrips(client, SAMPLES)))
      group.push((FLOOD * 1000) / (await client.flood(FLOOD, IN_FLIGHT)))
    }
    await client.flood(WARM_UP, IN_FLIGHT)
    const [pairsLater, groupLater]: [number[], number[]] = [[], []]
    for (let i = 0; i < ROUNDS; i++) {
      pairsLater.push(perSecond(flushPairs(file, SAMPLES)))
      groupLater.push((FLOOD * 1000) / (await client.flood(FLOOD, IN_FLIGHT)))
    }
    return [
      atMost(
        'durable effect p50 against two bare write+fdatasync',
        `${median(ours).toFixed(0)} µs against ${median(bare).toFixed(0)} µs`,
        median(ours) / median(bare),
        1.5,
      ),
      inFlight(`of a new gate (its first ${ROUNDS * FLOOD})`, group, pairs),
      inFlight(`of a gate that has done ${ROUNDS * FLOOD + WARM_UP}`, groupLater, pairsLater),
    ]
  } finally {
    closeSync(file)
    client.close()
    await gate.stop()
    scratch.remove()
  }
}

function inFlight(which: string, group: readonly number[], pairs: readonly number[]): Row {
  return atLeast(
    `${IN_FLIGHT} effects in flight ${which} against one flush pair per effect`,
    `${median(group).toFixed(0)}/s against ${median(pairs).toFixed(0)}/s`,
    median(group) / median(pairs),
    15,
  )
}

function perSecond(samples: readonly number[]): number {
  return 1e6 / (samples.reduce((sum, sample) => sum + sample, 0) / samples.length)
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
