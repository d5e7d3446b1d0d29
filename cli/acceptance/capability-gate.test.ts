import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** Tokens and shared budgets through the compiled binary: an agent that uses the Python SDK beside an operator that types commands. */
const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist', 'authority')
const TWICE = `
import authority
with authority.connect() as gate:
    for _ in range(2):
        try:
            print(gate.fs.read_text("/in/b"))
        except authority.AuthorityError as error:
            print(error.code)
`
const REVOKE =
  'subprocess.run([os.environ["A"], "cap", "revoke", "last", "--token", os.environ["AUTHORITY_TOKEN_FILE"]], check=True, stdout=subprocess.DEVNULL)'
const WARM = `
import authority, os, subprocess
with authority.connect() as gate:
    file = gate.fs.open("/in/a")
    print(file.read(3))
    ${REVOKE}
    for act in (lambda: file.read(3), lambda: gate.fs.read_text("/in/b")):
        try:
            print("allowed", act())
        except authority.AuthorityError as error:
            print(error.code)
`
/** A connection over which nothing is said when its token is revoked: told before the acknowledgement is. */
const IDLE = `
import authority, os, subprocess
with authority.connect() as gate:
    stream = gate.net.connect("127.0.0.1", int(os.environ["PORT"]))
    stream.write(b"hello")
    print(stream.read(10_000))
    ${REVOKE}
    for act in (lambda: gate.fs.read_text("/in/b"), lambda: stream.read(10_000)):
        try:
            print("allowed", act())
        except authority.AuthorityError as error:
            print(error.code)
`
/** Three sessions that go on asking, each until 20 requests it began after the acknowledgement were answered. */
const RACE = `
import authority, os, subprocess, threading, time
answers, acknowledged, answered = [], None, threading.Condition()
def use():
    further = 0
    with authority.connect() as gate:
        while further < 20:
            began = time.monotonic()
            try:
                gate.fs.read_text("/in/b")
                allowed = True
            except authority.AuthorityError:
                allowed = False
            with answered:
                answers.append((began, allowed))
                answered.notify_all()
            if acknowledged is not None and began > acknowledged: further += 1
users = [threading.Thread(target=use) for _ in range(3)]
for user in users: user.start()
with answered: answered.wait_for(lambda: len(answers) >= 20)
before = all(allowed for _, allowed in answers[:20])
${REVOKE}
acknowledged = time.monotonic()
for user in users: user.join()
after = [allowed for began, allowed in answers if began > acknowledged]
print(before, len(after) >= 60, sum(after))
`
let folder: string
let env: Record<string, string>

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'authority-cap-'))
  mkdirSync(join(folder, 'in'))
  for (const [name, text] of Object.entries({ 'in/a': '0123456789', 'in/b': 'x', 'p.json': '{"version":"1.0","fs":{"read":["/in/**"]}}' }))
    writeFileSync(join(folder, name), text)
  env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    AUTHORITY_HOME: join(folder, 'home'),
    PYTHONPATH: join(ROOT, 'sdks', 'python', 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
    A: BINARY,
  }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** stdout; what went to stderr is kept in `told`. */
let told = ''
async function authority(...args: readonly string[]): Promise<string> {
  const child = Bun.spawn([BINARY, ...args], { cwd: folder, env, stderr: 'pipe' })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  await child.exited
  told = err
  return out
}
const serve = (...words: readonly string[]): Promise<string> =>
  authority('gate', 'serve', '--policy', 'p.json', '-v', `${join(folder, 'in')}:/in`, ...words)
const python = (program: string): readonly string[] => ['--', 'python3', '-c', program]

test('revocation ends what was opened before: the open file and everything after it', async () => {
  expect((await serve(...python(WARM))).trim().split('\n')).toEqual(["b'012'", 'E_CAP_REVOKED', 'E_CAP_REVOKED'])
  expect(await authority('audit', 'verify', 'last')).toContain('intact and sealed')
})

test('revocation ends an idle connection: the server sees it end, and not a byte more', async () => {
  const heard: string[] = []
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    socket.on('error', () => undefined).on('close', () => end())
    socket.on('data', (bytes) => {
      heard.push(String(bytes))
      socket.write(bytes)
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  try {
    const { port } = server.address() as AddressInfo
    env.PORT = String(port)
    writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', net: { connect: [`ip:127.0.0.1:${port}`] } }))
    expect((await serve(...python(IDLE))).trim().split('\n')).toEqual(["b'hello'", 'E_CAP_REVOKED', 'E_CAP_REVOKED'])
    await ended
    expect(heard).toEqual(['hello'])
    // Closed before the acknowledgement, and so before what the agent tried after it.
    const types = (await authority('audit', 'show', 'last', '--json')).match(/"type":"(REVOKE|CLOSE|DENY)"/g)
    expect(types).toEqual(['"type":"REVOKE"', '"type":"CLOSE"', '"type":"DENY"'])
  } finally {
    server.close()
  }
})

test('every effect on record says how many µs each stage of the gate took', async () => {
  await serve(...python(TWICE))
  const records = (await authority('audit', 'show', 'last', '--json'))
    .trim()
    .split('\n')
    .map((line): { readonly type: string; readonly us?: Readonly<Record<string, number>> } => JSON.parse(line))
  const took = records.filter(({ type }) => type === 'OUTCOME').map(({ us }) => us ?? {})
  expect(took).toHaveLength(2)
  for (const us of took) {
    expect(Object.keys(us)).toEqual(expect.arrayContaining(['capability', 'policy', 'budget', 'intent', 'execute']))
    expect(Object.values(us).filter((time) => !Number.isSafeInteger(time) || time < 0)).toEqual([])
    // INTENT was flushed to the disk in between: a clock that stands still would say 0.
    expect(us.intent).toBeGreaterThan(0)
  }
})

test('nothing that begins after a revocation was acknowledged is allowed', async () => {
  expect((await serve(...python(RACE))).trim()).toBe('True True 0')
})

test('three calls for all runs together: two for the first, one for the second, and verify agrees', async () => {
  await authority('budget', 'limit', '--budget', 'calls=3')
  expect((await serve(...python(TWICE))).trim()).toBe('x\nx')
  expect((await serve(...python(TWICE))).trim()).toBe('x\nE_BUDGET_EXCEEDED')
  expect(await authority('audit', 'verify', 'last')).toContain('intact and sealed')
  expect(JSON.parse(await authority('budget', 'limit', '--json'))).toMatchObject({ limits: { calls: 3 }, counted: { calls: 3 }, runs: [] })
})

test('a token of a gate with a name is good after a restart, and dead once it is revoked', async () => {
  await serve('--keep', 'one', '--', 'sh', '-c', 'cp "$AUTHORITY_TOKEN_FILE" token')
  const use = ['--keep', 'one', '--', 'sh', '-c', `AUTHORITY_TOKEN_FILE=token exec python3 -c '${TWICE}'`]
  expect((await serve(...use)).trim()).toBe('x\nx')
  await serve('--keep', 'one', '--', 'sh', '-c', '"$A" cap revoke last --token token')
  expect(await serve(...use)).not.toContain('x')
  expect((await serve(...python(TWICE))).trim()).toBe('x\nx')
})

test('half of a budget is told to the operator and on record', async () => {
  await serve('--budget', 'fs.calls=4', ...python(TWICE))
  expect(told).toContain('50 % of fs calls is spent: 2 of 4')
  expect(await authority('logs', 'last')).toContain('MARK class:fs has used 50 % of its calls: 2 of 4')
})
