/** The recovery of the small gate's log: `bun recover-process.ts HOME`. */
import { join } from 'node:path'
import { ensureInstallation, recoverRun } from '../index.ts'

const home = process.argv[2] ?? ''
await recoverRun({ path: join(home, 'run'), installation: await ensureInstallation(home) })
