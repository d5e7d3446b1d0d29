/** `npm run bench`: what is promised as a number, each as a ratio against a peer or a floor measured in the same run. Arguments: names of suites. */
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { auditSuite } from './audit.ts'
import { budgetSuite } from './budget.ts'
import { capabilitySuite } from './capability.ts'
import { durableSuite } from './durable.ts'
import { filesSuite } from './files.ts'
import { latencySuite } from './latency.ts'
import { networkSuite } from './network.ts'
import { policySuite } from './policy.ts'
import { startupSuite } from './startup.ts'
import { printRows, type Row } from './statistics.ts'

const SUITES: Readonly<Record<string, () => Promise<readonly Row[]>>> = {
  latency: latencySuite,
  durable: durableSuite,
  startup: startupSuite,
  policy: policySuite,
  capability: capabilitySuite,
  budget: budgetSuite,
  audit: auditSuite,
  files: filesSuite,
  network: networkSuite,
}

const wanted = process.argv.slice(2)
const names = wanted.length > 0 ? wanted : Object.keys(SUITES)
console.log(
  `load ${loadavg()
    .map((load) => load.toFixed(2))
    .join(
      ' ',
    )}; ${navigator.hardwareConcurrency} CPUs; Linux ${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}; Bun ${Bun.version}`,
)
let missed = 0
for (const name of names) {
  const suite = SUITES[name]
  if (suite === undefined) {
    console.error(`no suite \`${name}\`; there are: ${Object.keys(SUITES).join(', ')}`)
    process.exit(64)
  }
  const rows = await measured(name, suite)
  printRows(rows)
  missed += rows.filter((row) => !row.met).length
}
console.log(
  `load ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')} at the end; ${missed} targets missed`,
)
process.exit(missed === 0 ? 0 : 1)

async function measured(name: string, suite: () => Promise<readonly Row[]>): Promise<readonly Row[]> {
  try {
    return await suite()
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(70)
  }
}
