/**
 * `npm test`: everything, ending with one summed `N passed, N failed` over vitest, pytest and the C tests.
 * A suite that is missing, prints no count or runs no test is a failure: silence is never success.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findViolations } from './imports.ts'
import { PYTHON, ROOT } from './toolchain.mjs'

interface Count {
  readonly passed: number
  readonly failed: number
}

const BUN = process.execPath
const VITEST = [BUN, '--bun', 'node_modules/vitest/vitest.mjs', 'run']
const scratch = mkdtempSync(join(tmpdir(), 'authority-test-'))

const total = { passed: 0, failed: 0 }
try {
  add('types', await step(['node_modules/.bin/tsc', '--noEmit', '-p', 'tsconfig.json']))
  add('lint', await step(['node_modules/.bin/biome', 'check', '--error-on-warnings', '.']))
  add('imports', await imports())
  add('generated files', await step([BUN, 'protocol/generate.ts', '--check']))
  add('build', await step([BUN, 'run', 'cli/build/build.ts']))
  add('unit', await vitest('unit'))
  add('C', await cTests())
  add('pytest', await pytest())
  add('acceptance', await vitest('acceptance'))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exit(total.failed === 0 ? 0 : 1)

function add(suite: string, count: Count): void {
  const empty = count.passed + count.failed === 0
  console.log(`${suite}: ${empty ? 'ran nothing, which is a failure' : `${count.passed} of ${count.passed + count.failed}`}`)
  total.passed += count.passed
  total.failed += empty ? 1 : count.failed
}

async function run(command: readonly string[]): Promise<number> {
  return Bun.spawn([...command], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] }).exited
}

async function step(command: readonly string[]): Promise<Count> {
  return (await run(command)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

async function imports(): Promise<Count> {
  const violations = await findViolations(ROOT)
  for (const { file, line, specifier, rule } of violations) console.log(`${file}:${line}: ${specifier}: ${rule}`)
  return violations.length === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

async function vitest(project: string): Promise<Count> {
  const report = join(scratch, `${project}.json`)
  const code = await run([...VITEST, '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`])
  const parsed = readReport(report)
  // A file that fails to load has no failed test in the report: the exit code decides.
  return code !== 0 && parsed.failed === 0 ? { ...parsed, failed: 1 } : parsed
}

function readReport(path: string): Count {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8')) as { numPassedTests: number; numFailedTests: number }
    return { passed: report.numPassedTests, failed: report.numFailedTests }
  } catch {
    return { passed: 0, failed: 1 }
  }
}

async function cTests(): Promise<Count> {
  const [init, cell] = [
    await countedOutput(['bash', 'kernel/guest/init/test.sh']),
    await countedOutput(['bash', 'cli/machine/cell/test.sh']),
  ]
  return { passed: init.passed + cell.passed, failed: init.failed + cell.failed }
}

async function pytest(): Promise<Count> {
  return countedOutput([PYTHON, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'sdks/python'])
}

/** Runs a suite that prints `N passed` and perhaps `N failed`. */
async function countedOutput(command: readonly string[]): Promise<Count> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  const output = await new Response(child.stdout).text()
  process.stdout.write(output)
  const passed = Number(/(\d+) passed/.exec(output)?.[1] ?? 0)
  const failed = Number(/(\d+) failed/.exec(output)?.[1] ?? 0) + Number(/(\d+) error/.exec(output)?.[1] ?? 0)
  return (await child.exited) !== 0 && failed === 0 ? { passed, failed: 1 } : { passed, failed }
}
