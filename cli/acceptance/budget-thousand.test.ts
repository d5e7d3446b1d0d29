import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** 1,000 effects at once against a budget of fifty, through the compiled binary: what counts is how many happened on the host. */
const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist', 'authority')

/** Makes COUNT folders at once over several sessions, whose tokens are made by NARROW; says how many it was told were made, and what else it was told. */
const AGENT = `
import { attenuate, connect } from '${join(ROOT, 'sdks', 'typescript', 'src', 'index.ts')}'
const { COUNT, SESSIONS, NAME, NARROW } = process.env
const own = await connect()
const parent = NARROW === undefined ? null : await own.attenuate(JSON.parse(NARROW))
const sessions = await Promise.all(
  Array.from({ length: Number(SESSIONS) }, () => connect(parent === null ? {} : { token: attenuate(parent, JSON.parse(NARROW)) })),
)
const told = {}
await Promise.all(
  Array.from({ length: Number(COUNT) }, async (_, i) => {
    const answer = await sessions[i % sessions.length].fs.mkdir('/out/' + NAME + i).then(() => 'made', (error) => error.code)
    told[answer] = (told[answer] ?? 0) + 1
  }),
)
console.log(JSON.stringify(told))
for (const session of [own, ...sessions]) await session.close()
`
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'authority-thousand-'))
  mkdirSync(join(folder, 'out'))
  writeFileSync(join(folder, 'agent.ts'), AGENT)
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/out/**'], write: ['/out/**'] } }))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function authority(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: folder, AUTHORITY_HOME: join(folder, 'home'), ...more }
  const child = Bun.spawn([BINARY, ...args], { cwd: folder, env, stderr: 'ignore' })
  const out = await new Response(child.stdout).text()
  await child.exited
  return out
}

async function agent(flags: readonly string[], more: Readonly<Record<string, string>>): Promise<Readonly<Record<string, number>>> {
  const mount = ['-v', `${join(folder, 'out')}:/out`]
  const command = ['--', process.execPath, join(folder, 'agent.ts')]
  return JSON.parse(await authority(['gate', 'serve', '--policy', 'p.json', ...mount, ...flags, ...command], { NAME: 'x', ...more }))
}

const made = (): number => readdirSync(join(folder, 'out')).length

test('of one run: exactly fifty', async () => {
  const told = await agent(['--budget', 'calls=50'], { COUNT: '1000', SESSIONS: '5' })
  expect(told).toEqual({ made: 50, E_BUDGET_EXCEEDED: 950 })
  expect(made()).toBe(50)
  expect(await authority(['audit', 'verify', 'last'])).toContain('intact and sealed')
})

test('of one class of operations: exactly fifty', async () => {
  expect(await agent(['--budget', 'fs.calls=50'], { COUNT: '1000', SESSIONS: '5' })).toEqual({ made: 50, E_BUDGET_EXCEEDED: 950 })
  expect(made()).toBe(50)
})

test('across eight children of one parent, each of which was given all fifty: exactly fifty', async () => {
  const told = await agent([], { COUNT: '1000', SESSIONS: '8', NARROW: JSON.stringify({ budget: { calls: 50 } }) })
  expect(told).toEqual({ made: 50, E_BUDGET_EXCEEDED: 950 })
  expect(made()).toBe(50)
  expect(await authority(['audit', 'verify', 'last'])).toContain('intact and sealed')
})

test.each(['calls', 'fs.calls'])('across eight gates that share %s: exactly fifty, and every log proves it', async (key) => {
  await authority(['budget', 'limit', '--budget', `${key}=50`])
  const all = await Promise.all(Array.from({ length: 8 }, (_, i) => agent([], { COUNT: '125', SESSIONS: '2', NAME: `${i}-` })))
  expect(all.reduce((sum, told) => sum + (told.made ?? 0), 0)).toBe(50)
  expect(all.reduce((sum, told) => sum + (told.E_BUDGET_EXCEEDED ?? 0), 0)).toBe(950)
  expect(made()).toBe(50)
  const runs = JSON.parse(await authority(['runs', 'ls', '--json'])) as { id: string }[]
  expect(runs).toHaveLength(8)
  for (const { id } of runs) expect(await authority(['audit', 'verify', id])).toContain('intact and sealed')
  expect(JSON.parse(await authority(['budget', 'limit', '--json'])).counted).toEqual({ [key]: 50 })
})
