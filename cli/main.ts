/** The executable. Commands load when they are called: `authority version` must not pay for the HTTP client. */
import { GATE_COMMAND } from './runs/run-spec.ts'
import { runCommandLine } from './commands/index.ts'

if (process.argv[2] === GATE_COMMAND) {
  const { gateMain } = await import('./runs/gate/main.ts')
  await gateMain()
} else {
  process.exitCode = await runCommandLine(process.argv.slice(2))
}
