// Runs the pinned Bun with the given arguments, passing its exit code on.
import { spawnSync } from 'node:child_process'
import { BUN, ROOT } from './toolchain.mjs'

const done = spawnSync(BUN, process.argv.slice(2), { cwd: ROOT, stdio: 'inherit' })
process.exit(done.status ?? 1)
