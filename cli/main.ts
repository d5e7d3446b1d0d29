/** The executable. Commands load when they are called: `authority version` must not pay for the HTTP client. */
import { GATE_COMMAND } from './runs/run-spec.ts'

if (process.argv[2] === GATE_COMMAND) {
  const { gateMain } = await import('./runs/gate/main.ts')
  await gateMain()
} else {
  const { runCommandLine } = await import('./commands/index.ts')
  process.exitCode = await runCommandLine(process.argv.slice(2), process.env)
}
