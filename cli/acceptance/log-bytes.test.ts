import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** The log as a budget, through the compiled binary: what its bytes do not hold is refused before it happens, and the run ends sealed. */
const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist', 'authority')
const LOG_BYTES = 48 * 1024
/** Makes files until it may not, then asks for more of everything. */
const AGENT = `
import authority, json
codes = set()
with authority.connect() as gate:
    for n in range(400):
        for act in (lambda: gate.fs.write_file(f"/out/{n}", "x"), lambda: gate.fs.read_text(f"/secret/{n}"), lambda: gate.fs.stat(f"/out/{n}")):
            try:
                act()
            except authority.AuthorityError as error:
                codes.add(error.code)
print(json.dumps(sorted(codes)))
`
let folder: string
let env: Record<string, string>

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'authority-log-'))
  mkdirSync(join(folder, 'out'))
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/out/**'], write: ['/out/**'] } }))
  env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    AUTHORITY_HOME: join(folder, 'home'),
    PYTHONPATH: join(ROOT, 'sdks', 'python', 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
  }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function authority(...args: readonly string[]): Promise<{ readonly out: string; readonly code: number }> {
  const child = Bun.spawn([BINARY, ...args], { cwd: folder, env, stderr: 'ignore' })
  const out = await new Response(child.stdout).text()
  return { out, code: await child.exited }
}

interface Shown {
  readonly type: string
  readonly object?: string
  readonly code?: string
}

test('a run whose log is used up goes on: effects are refused by budget, none without its record, and the log verifies as sealed', async () => {
  const mount = `${join(folder, 'out')}:/out`
  const args = ['--policy', 'p.json', '-v', mount, '--budget', `log_bytes=${LOG_BYTES}`, '--', 'python3', '-c', AGENT]
  const served = await authority('gate', 'serve', ...args)
  expect(JSON.parse(served.out)).toContain('E_BUDGET_EXCEEDED')
  expect(JSON.parse(served.out)).not.toContain('E_AUDIT')
  expect(served.code).toBe(0)
  expect(await authority('audit', 'verify', 'last')).toMatchObject({ code: 0 })

  const shown = (await authority('audit', 'show', 'last', '--json')).out
  const records = shown
    .trim()
    .split('\n')
    .map((line): Shown => JSON.parse(line))
  const told = new Set(records.filter(({ type }) => type === 'INTENT').map(({ object }) => object))
  const happened = readdirSync(join(folder, 'out')).map((name) => `/out/${name}`)
  expect(happened.length).toBeGreaterThan(3)
  expect(happened.length).toBeLessThan(400)
  for (const path of happened) expect(told).toContain(path)
  expect(records.some(({ type, code }) => type === 'DENY' && code === 'E_BUDGET_EXCEEDED')).toBe(true)

  const { out } = await authority('budget', 'show', 'last', '--json')
  const rows = (JSON.parse(out) as { rows: { dimension: string; captured: number; limit: number }[] }).rows
  const row = rows.find(({ dimension }) => dimension === 'log_bytes')
  expect(row?.limit).toBe(LOG_BYTES)
  expect(row?.captured).toBeGreaterThan(LOG_BYTES / 2)
  expect(row?.captured).toBeLessThanOrEqual(LOG_BYTES)
})
