import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** Every dimension, wherever its limit comes from, wherever it is shown: the compiled binary and both SDKs say the same. */
const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist', 'authority')

/** As `--budget` takes it, and in the unit of rows. CPU time is a machine's: a gate without one takes no budget of it. */
const LIMITS = {
  calls: ['calls=1001', 1001],
  tool_calls: ['tool_calls=1002', 1002],
  tokens: ['tokens=1003', 1003],
  tokens_in: ['tokens_in=1004', 1004],
  tokens_out: ['tokens_out=1005', 1005],
  cost_nano_usd: ['cost=$1.25', 1_250_000_000],
  bytes: ['bytes=1MiB', 1 << 20],
  bytes_in: ['bytes_in=2MiB', 2 << 20],
  bytes_out: ['bytes_out=3MiB', 3 << 20],
  bytes_written: ['bytes_written=4MiB', 4 << 20],
  wall_time_ms: ['wall_time=1h', 3_600_000],
  concurrency: ['concurrency=7', 7],
  log_bytes: ['log_bytes=9MiB', 9 << 20],
} as const
type Dimension = keyof typeof LIMITS
const ALL = Object.keys(LIMITS) as Dimension[]
const amount = (dimension: Dimension): number => LIMITS[dimension][1]
const flag = (dimension: Dimension): string => LIMITS[dimension][0]
const amounts = (dimensions: readonly Dimension[]) => Object.fromEntries(dimensions.map((dimension) => [dimension, amount(dimension)]))
/** Time and log are of a run as a whole; places are not spent, so there is no history of them. */
const OF_CLASSES = ALL.filter((dimension) => dimension !== 'wall_time_ms' && dimension !== 'log_bytes')
const OF_RUNS = ALL.filter((dimension) => dimension !== 'log_bytes')
/** What the agent below spends. */
const SPENT: readonly Dimension[] = ['calls', 'bytes', 'bytes_in', 'bytes_written']

const PYTHON = `
import authority, json, os
with authority.connect() as gate:
    gate.fs.read_file("/in/a"); gate.fs.write_file("/in/b", b"123")
    rows = gate.budget.status()
    while any(row.dimension == "wall_time_ms" and row.captured == 0 for row in rows):  # captured in slices: a quick agent is ahead of the first
        rows = gate.budget.status()
    history = {account: [[h.dimension, h.points[-1].captured] for h in gate.budget.history(account)] for account in {r.account for r in rows}}
    with open(os.environ["OUT"] + "/python", "w") as out:
        json.dump({"rows": [list(row) for row in rows], "history": history}, out)
`
const TYPESCRIPT = `
import { connect } from '${join(ROOT, 'sdks', 'typescript', 'src', 'index.ts')}'
const gate = await connect()
const rows = await gate.budget.status()
const history = {}
for (const account of new Set(rows.map((row) => row.account)))
  history[account] = (await gate.budget.history(account)).map(({ dimension, points }) => [dimension, points.at(-1).captured])
await Bun.write(process.env.OUT + '/typescript', JSON.stringify({ rows: rows.map(({ account, dimension, limit, captured, reserved }) => [account, dimension, limit, captured, reserved]), history }))
await gate.close()
`
type Row = readonly [account: string, dimension: string, limit: number | null, captured: number, reserved: number]
interface Told {
  readonly rows: readonly Row[]
  readonly history: { readonly [account: string]: readonly (readonly [dimension: string, captured: number])[] }
}

let folder: string
let env: Record<string, string>

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'authority-matrix-'))
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'a'), '12345')
  writeFileSync(join(folder, 'agent.py'), PYTHON)
  writeFileSync(join(folder, 'agent.ts'), TYPESCRIPT)
  env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    AUTHORITY_HOME: join(folder, 'home'),
    PYTHONPATH: join(ROOT, 'sdks', 'python', 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
    OUT: folder,
  }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function authority(...args: readonly string[]) {
  const child = Bun.spawn([BINARY, ...args], { cwd: folder, env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, lines] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { out, lines, code: await child.exited }
}

/** A run of both SDKs, and everything that was shown of its budgets. */
async function shown(budgets: object, flags: readonly string[], restriction?: object) {
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/in/**'], write: ['/in/**'] }, budgets }))
  const narrow =
    restriction === undefined
      ? ''
      : `"${BINARY}" cap attenuate --restrict r.json < "$AUTHORITY_TOKEN_FILE" > t; export AUTHORITY_TOKEN_FILE="$PWD/t"; `
  writeFileSync(join(folder, 'r.json'), JSON.stringify(restriction ?? {}))
  const script = `${narrow}python3 agent.py && "${process.execPath}" agent.ts && "${BINARY}" budget show last --json > live && "${BINARY}" budget top last --json > top`
  const served = await authority(
    'gate',
    'serve',
    '--policy',
    'p.json',
    '-v',
    `${folder}/in:/in`,
    ...flags.flatMap((text) => ['--budget', text]),
    '--',
    'sh',
    '-c',
    script,
  )
  expect({ code: served.code, said: served.code === 0 ? '' : served.lines }).toEqual({ code: 0, said: '' })
  const told = async (name: string): Promise<Told> => JSON.parse(await Bun.file(join(folder, name)).text())
  const listed = (text: string): readonly Row[] =>
    (JSON.parse(text).rows as { account: string; dimension: string; limit: number | null; captured: number; reserved: number }[]).map(
      (row) => [row.account, row.dimension, row.limit, row.captured, row.reserved],
    )
  const [start = '', end = ''] = [served.lines.split('\n')[0], served.lines.trimEnd().split('\n').at(-1)]
  expect((await authority('audit', 'verify', 'last')).code).toBe(0)
  const after = await authority('budget', 'show', 'last', '--json')
  const places = {
    'the Python SDK': (await told('python')).rows,
    'the TypeScript SDK': (await told('typescript')).rows,
    '`budget show` of a living run': listed(await Bun.file(join(folder, 'live')).text()),
    '`budget top`': listed(await Bun.file(join(folder, 'top')).text()),
    '`budget show` of a run that is over': listed(after.out),
  }
  return { start, end, places, python: await told('python'), typescript: await told('typescript') }
}

/** Each place shows each limit, and what the agent spent. */
function expectLimits(
  { places }: Pick<Awaited<ReturnType<typeof shown>>, 'places'>,
  account: string | RegExp,
  dimensions: readonly Dimension[],
  limitOf = amount,
): void {
  for (const [place, rows] of Object.entries(places)) {
    const of = rows.filter(([name]) => (typeof account === 'string' ? name === account : account.test(name)))
    for (const dimension of dimensions) {
      const found = of.filter(([, name, limit]) => name === dimension && limit === limitOf(dimension))
      expect({ place, dimension, rows: found.length }).toEqual({ place, dimension, rows: 1 })
      const captured = found[0]?.[3] ?? 0
      if (SPENT.includes(dimension) || dimension === 'wall_time_ms' || dimension === 'log_bytes')
        expect(captured, `${place} ${dimension}`).toBeGreaterThan(0)
      else expect(captured, `${place} ${dimension}`).toBe(0)
    }
  }
}

function expectHistory(
  { python, typescript }: Pick<Awaited<ReturnType<typeof shown>>, 'python' | 'typescript'>,
  account: string | RegExp,
  dimensions: readonly Dimension[],
): void {
  for (const { history } of [python, typescript]) {
    const name = Object.keys(history).find((each) => (typeof account === 'string' ? each === account : account.test(each))) ?? ''
    const captured = new Map(history[name])
    for (const dimension of dimensions) expect(captured.get(dimension), `${name} ${dimension}`).toBeGreaterThan(0)
  }
}

/** The start says each limit, the end each with what was used of it. */
const NAMED: { readonly [dimension in Dimension]: string } = {
  calls: '1001',
  tool_calls: '1002',
  tokens: '1003',
  tokens_in: '1004',
  tokens_out: '1005',
  cost_nano_usd: '$1.25',
  bytes: '1 MiB',
  bytes_in: '2 MiB',
  bytes_out: '3 MiB',
  bytes_written: '4 MiB',
  wall_time_ms: '1 h',
  concurrency: '7',
  log_bytes: '9 MiB',
}
const WORDS: { readonly [dimension: string]: string } = { cost_nano_usd: 'cost', wall_time_ms: 'wall time' }
const words = (dimension: Dimension): string => WORDS[dimension] ?? dimension.replaceAll('_', ' ')

function expectLines(
  { start, end }: Pick<Awaited<ReturnType<typeof shown>>, 'start' | 'end'>,
  dimensions: readonly Dimension[],
  scope = '',
): void {
  for (const dimension of dimensions) {
    expect(start).toContain(`${scope}${words(dimension)} ${NAMED[dimension]}`)
    expect(end).toMatch(new RegExp(`${scope}${words(dimension)} [^,·]+ of ${NAMED[dimension].replace(/[$.]/g, '\\$&')}(,| ·)`))
  }
}

test('of the policy', async () => {
  const seen = await shown(amounts(ALL), [])
  expectLimits(seen, 'run', ALL)
  expectLines(seen, ALL)
  expectHistory(seen, 'run', [...SPENT, 'wall_time_ms', 'log_bytes'])
  expect(seen.end).toContain('concurrency at most 1 of 7')
})

test('of the command line', async () => {
  const seen = await shown({}, ALL.map(flag))
  expectLimits(seen, 'run', ALL)
  expectLines(seen, ALL)
})

test('of one class of operations, from the policy and from the command line', async () => {
  const half = OF_CLASSES.filter((_, i) => i % 2 === 0)
  const rest = OF_CLASSES.filter((_, i) => i % 2 === 1)
  const seen = await shown(
    { fs: amounts(half) },
    rest.map((dimension) => `fs.${flag(dimension)}`),
  )
  expectLimits(seen, 'class:fs', OF_CLASSES)
  expectLines(seen, OF_CLASSES, 'fs ')
  expectHistory(seen, 'class:fs', SPENT)
})

test('of a token', async () => {
  const dimensions = ALL.filter((dimension) => dimension !== 'wall_time_ms')
  const seen = await shown({}, [], { budget: amounts(dimensions) })
  expectLimits(seen, /^block:/, dimensions)
  expectHistory(seen, /^block:/, SPENT)
})

test('of all runs together: each place shows what this run leased, `budget limit` and the start what there is', async () => {
  const set = await authority('budget', 'limit', ...OF_RUNS.flatMap((dimension) => ['--budget', flag(dimension)]))
  for (const dimension of OF_RUNS)
    expect(set.out).toMatch(new RegExp(`^${words(dimension)} .* ${NAMED[dimension].replace('$', '\\$')}$`, 'm'))
  const seen = await shown({}, [])
  for (const dimension of OF_RUNS)
    expect(seen.start).toMatch(new RegExp(`shared by all runs:.*${words(dimension)} [^,]+ of ${NAMED[dimension].replace('$', '\\$')} left`))
  for (const [place, rows] of Object.entries(seen.places))
    for (const dimension of OF_RUNS) {
      const row = rows.find(([account, name]) => account === 'installation' && name === dimension)
      expect(row, `${place} ${dimension}`).toBeDefined()
      const [, , leased, captured = 0] = row ?? []
      expect(captured, `${place} ${dimension}`).toBeLessThanOrEqual(leased ?? 0)
      expect(captured > 0, `${place} ${dimension}`).toBe(SPENT.includes(dimension) || dimension === 'wall_time_ms')
    }
  expectHistory(seen, 'installation', [...SPENT, 'wall_time_ms'])
  const left = JSON.parse((await authority('budget', 'limit', '--json')).out).counted
  expect(left).toMatchObject({ calls: 2, bytes: 8, bytes_in: 5, bytes_written: 3 })
  expect(left.concurrency).toBe(undefined)
})

test('of one class for all runs together: what one run spent the next has not, and the refusal names the class', async () => {
  const set = await authority('budget', 'limit', '--budget', 'calls=100', '--budget', 'fs.calls=3')
  expect(set.out).toMatch(/^fs calls +0 +3 +3$/m)
  const seen = await shown({}, [])
  expect(seen.start).toMatch(/shared by all runs:.*fs calls 3 of 3 left/)
  for (const [place, rows] of Object.entries(seen.places))
    expect(
      rows.filter(([account]) => account === 'installation:fs').map(([, dimension, , captured]) => [dimension, captured]),
      place,
    ).toContainEqual(['calls', 2])
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/in/**'] } }))
  const reads = `import authority; gate = authority.connect(); gate.fs.read_file("/in/a"); gate.fs.read_file("/in/a")`
  const { lines, code } = await authority('gate', 'serve', '--policy', 'p.json', '-v', `${folder}/in:/in:ro`, '--', 'python3', '-c', reads)
  expect(code).toBe(1)
  expect(lines).toContain('the calls budget of fs operations of all runs together has no room for this: 1 needed, 0 left')
  expect(lines).toContain(
    'denied by the fs calls budget all runs share: /in/a · see and raise it: authority budget limit --budget fs.calls=N',
  )
  expect(lines).toMatch(/shared by all runs: calls 97 of 100 left, fs calls 0 of 3 left/)
  const afterwards = (await authority('budget', 'show', 'last')).out
  expect(afterwards).toMatch(/^ALL RUNS +BUDGET +SPENT +LEASED +FREE +LIMIT +REFUSED\ninstallation:fs +calls +3 +0 +0 +3 +1$/m)
  expect(JSON.parse((await authority('budget', 'limit', '--json')).out).counted).toEqual({ calls: 3, 'fs.calls': 3 })
})

test('a budget all runs share that refused a living run is shown with what others lease of it, every refusal counted', async () => {
  await authority('budget', 'limit', '--budget', 'fs.calls=3')
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/in/**'] } }))
  const reads = `
import authority, subprocess, sys
gate = authority.connect()
def refused():
    try: gate.fs.read_file("/in/a")
    except authority.AuthorityError: return
    raise Exception("it was read")
for _ in range(3): gate.fs.read_file("/in/a")
refused()
sys.stdout.write(subprocess.check_output(["${BINARY}", "budget", "show", "last", "--json"], text=True))
refused()`
  const { out } = await authority('gate', 'serve', '--policy', 'p.json', '-v', `${folder}/in:/in:ro`, '--', 'python3', '-c', reads)
  const row = { account: 'installation:fs', dimension: 'calls', limit: 3, captured: 0, reserved: 3, free: 0 }
  const { rows, shared } = JSON.parse(out)
  expect(shared).toEqual([{ ...row, refused: 1 }])
  expect(rows).toContainEqual(expect.objectContaining({ account: 'installation:fs', captured: 3, refused: 1 }))
  const after = JSON.parse((await authority('budget', 'show', 'last', '--json')).out).shared
  expect(after).toEqual([{ ...row, captured: 3, reserved: 0, refused: 2 }])
})

test('a refusal says whose budget it was and how much was left, to the agent; what raises it, to its owner', async () => {
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/in/**'] } }))
  const reads = `import authority; gate = authority.connect(); gate.fs.read_file("/in/a"); gate.fs.read_file("/in/a")`
  const flags = ['-v', `${folder}/in:/in:ro`, '--budget', 'fs.calls=1']
  const { lines, code } = await authority('gate', 'serve', '--policy', 'p.json', ...flags, '--', 'python3', '-c', reads)
  expect(code).toBe(1)
  expect(lines).toContain('the calls budget of fs operations of this run has no room for this: 1 needed, 0 of 1 left')
  expect(lines).toContain(
    'denied by the fs calls budget of the run: /in/a · raise the limit: --budget fs.calls=N, or "budgets" in the policy',
  )
  expect((await authority('budget', 'show', 'last')).out).toMatch(/^class:fs +calls +1 +0 +1 +1$/m)
})
