/**
 * `npm run demo`: the main job, shown. Builds the binary, then runs two real agents in real VMs at the same time: one writes a report about a source tree, the
 * other files what a local HTTP service says. Both are refused what their policies do not grant; both logs are verified. `-- --keep` leaves the runs for inspection.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { type Outcome, runAuthority } from './authority.ts'
import { startRecordsService } from './records-service.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const WORK = join(ROOT, '.cache/demo')
const AGENTS = join(ROOT, 'fixtures/agents')
const HOME = process.env.AUTHORITY_HOME ?? join(WORK, 'home')
const keep = process.argv.includes('--keep')

build()
const tree = fresh('tree')
const out = fresh('out')
const filed = fresh('filed')
cpSync(join(AGENTS, 'sample-tree'), tree, { recursive: true })
const service = await startRecordsService()
try {
  const fetching = runAuthority(HOME, [
    ...['run', join(AGENTS, 'fetch-typescript/main.ts'), '--policy', policyForPort(service.port)],
    ...[
      '-v',
      `${filed}:/workspace/out`,
      '--host',
      'records.example=127.0.0.1',
      '--timeout',
      '2m',
      '--',
      `http://records.example:${service.port}`,
      '/workspace/out',
    ],
  ])
  title('A Python agent writes a report about a source tree')
  const reporting = await runAuthority(
    HOME,
    [
      ...['run', join(AGENTS, 'report-python/main.py'), '--policy', join(AGENTS, 'report-python/policy.json')],
      ...[
        '-v',
        `${tree}:/workspace/tree`,
        '-v',
        `${out}:/workspace/out`,
        '--timeout',
        '2m',
        '--',
        '/workspace/tree',
        '/workspace/out/report.md',
      ],
    ],
    (text) => process.stdout.write(text),
  )
  say(`report: ${relative(process.cwd(), join(out, 'report.md'))}`)
  await verify(reporting)

  title('A TypeScript agent files what an HTTP service says')
  const fetched = await fetching
  process.stdout.write(fetched.output)
  say(`the service was asked: ${service.requests.join(', ')}`)
  await verify(fetched)
  await finish([reporting, fetched])
} finally {
  service.stop()
}

function build(): void {
  const built = Bun.spawnSync([process.execPath, 'run', 'cli/build/build.ts'], { cwd: ROOT, stdout: 'inherit', stderr: 'inherit' })
  if (!built.success) process.exit(1)
}

function fresh(name: string): string {
  const folder = join(WORK, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return folder
}

/** The agent's policy with the port the service got: a rule for a name of this machine must name one port. */
function policyForPort(port: number): string {
  const policy = readFileSync(join(AGENTS, 'fetch-typescript/policy.json'), 'utf8')
  const path = join(WORK, 'fetch-policy.json')
  writeFileSync(path, policy.replace('records.example:8080', `records.example:${port}`))
  return path
}

async function verify({ run, exitCode }: Outcome): Promise<void> {
  if (exitCode !== 0 || run === null) {
    say(`the agent failed (exit ${exitCode})`)
    process.exit(1)
  }
  const verified = await runAuthority(HOME, ['audit', 'verify', run], (text) => process.stdout.write(text))
  if (verified.exitCode !== 0) process.exit(1)
}

async function finish(outcomes: readonly Outcome[]): Promise<void> {
  const [first] = outcomes
  const prefix = `AUTHORITY_HOME=${relative(process.cwd(), HOME) || '.'} ${relative(process.cwd(), join(ROOT, 'dist/authority'))}`
  if (keep) return say(`next: ${prefix} audit show ${first?.run?.slice(0, 12)}`)
  for (const { run } of outcomes) if (run !== null) await runAuthority(HOME, ['runs', 'rm', run])
  say('next: npm run demo -- --keep   (leaves the runs, to look at with `authority audit show`)')
}

function title(text: string): void {
  process.stdout.write(`\n── ${text}\n`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
