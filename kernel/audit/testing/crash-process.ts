/** A gate in small, for strace to break: one effect, one large record and one checkpoint. `bun crash-process.ts HOME`; says on stdout what was acknowledged. */
import { lstatSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstallation, openRunLog } from '../index.ts'
import { START_WRITING_BYTES } from '../limits.ts'
import { AT_ONCE, intent, RUN_END, runStart } from './scenario.ts'

const home = process.argv[2] ?? ''
const say = (line: string): void => void writeSync(1, `${line}\n`)
/** A call that shows in the trace and changes nothing. */
const mark = (name: string): void => void lstatSync(join(home, `mark-${name}`), { throwIfNoEntry: false })

const installation = await ensureInstallation(home)
const log = await openRunLog({ path: join(home, 'run'), installation, start: runStart(installation), ...AT_ONCE, preallocate: true })
say('started')
try {
  mark('begin')
  const seq = log.append(intent('/data/one'))
  await log.durable()
  say(`durable ${seq}`)
  writeFileSync(join(home, 'effect'), 'it happened')
  const outcome = log.append({ type: 'OUTCOME', intent: seq, status: 'ok', captured: { calls: 1 } })
  await log.durable()
  say(`durable ${outcome}`)
  // Large enough that the device is asked to begin with it.
  const large = log.append({ type: 'GUEST', event: 'large', detail: { text: 'x'.repeat(START_WRITING_BYTES) } })
  await log.durable()
  say(`durable ${large}`)
  await log.checkpoint()
  mark('end')
  say('checkpoint')
  await log.seal(RUN_END)
  say('sealed')
} catch (error) {
  say(`stopped: ${log.latched ?? (error instanceof Error ? error.message : String(error))}`)
  const refused = (() => {
    try {
      log.append(intent('/data/two'))
      return false
    } catch {
      return true
    }
  })()
  say(refused ? 'refuses' : 'GOES ON')
}
process.exit(0)
