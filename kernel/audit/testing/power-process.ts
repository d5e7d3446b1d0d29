/**
 * A gate in small on a disk whose power fails: `bun power-process.ts HOME EFFECTS`. Effects with leases and denials over several segments and checkpoints; each leaves
 * a file in EFFECTS, which lies on another disk. Says on stdout what was acknowledged.
 */
import { writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstallation, openRunLog } from '../index.ts'
import { AT_ONCE, DENIAL, intent, RUN_END, runStart } from './scenario.ts'

const EFFECTS = 14
/** Small, so that a few effects fill some. */
const SEGMENT_BYTES = 10 * 1024
const CHECKPOINT_RECORDS = 12

const [home = '', effects = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

const installation = await ensureInstallation(home)
const tuning = { ...AT_ONCE, preallocate: true, segmentBytes: () => SEGMENT_BYTES, checkpointRecords: CHECKPOINT_RECORDS }
const log = await openRunLog({ path: join(home, 'run'), installation, start: runStart(installation), ...tuning })
say('durable 0')
for (let i = 0; i < EFFECTS; i++) {
  const seq = log.append(intent(`/data/${i}`, { calls: 1, bytes: 100 }))
  await log.durable()
  say(`durable ${seq}`)
  writeFileSync(join(effects, String(i)), 'it happened')
  const outcome = log.append({ type: 'OUTCOME', intent: seq, status: 'ok', captured: { calls: 1 }, leased: { bytes: 100 } })
  const denied = log.append(DENIAL)
  await log.durable()
  say(`durable ${outcome}`)
  say(`durable ${denied}`)
  const close = log.append({ type: 'CLOSE', intent: seq, captured: { bytes: 40 }, detail: { bytes: 40 } })
  await log.durable()
  say(`durable ${close}`)
}
await log.checkpoint()
say(`signed ${log.size - 1}`)
await log.seal(RUN_END)
say('sealed')
