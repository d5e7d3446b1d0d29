/** `authority logs RUN` after runs in a real VM: what is told of a run's life and streams, in order, also when its gate was killed, and of a run that never was. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { waitGone } from './machine-support.ts'
import { authority, prepareVm, runFolders, startRun, type Vm } from './vm-guest/binary.ts'
import { compileStatic, descendantsOf, inTurn } from './vm-support.ts'

const STDOUT = 'begun\n\x1b[31mRUN_END by nobody\x1b[0m\n'
const STDERR = 'what went wrong\n'

interface Shown {
  readonly seq: number
  readonly t: string
  readonly type: string
  readonly [field: string]: unknown
}

let vm: Vm
beforeAll(async () => {
  vm = await prepareVm()
  await compileStatic(new URL('vm-guest/speaker.c', import.meta.url).pathname, vm.at('speaker'))
})
afterAll(() => vm.clean())

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const shownOf = (out: string): Shown[] =>
  out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Shown)

/** The number of a record stands first in its line. */
const numbers = (out: string): number[] => [...out.matchAll(/^ *(\d+) {2}/gm)].map(([, seq]) => Number(seq))
const ascending = (list: readonly number[]): boolean => list.every((one, i) => i === 0 || one > (list[i - 1] ?? 0))

test.concurrent('of a run that ended: its start, machine, streams by count and digest, and end, in order; never what the agent wrote', () =>
  inTurn(async () => {
    const input = 'what it is told\n'
    const { code, stdout, facts } = await startRun(vm, [], { program: vm.at('speaker'), input }).done
    expect([code, stdout.toString()]).toEqual([7, STDOUT])
    const run = String(facts?.run)

    const told = await authority(vm, 'logs', run)
    expect(told.code).toBe(0)
    expect(ascending(numbers(told.out))).toBe(true)
    const lines = told.out.trimEnd().split('\n')
    expect(lines[0]).toContain(`RUN_START run ${run}`)
    expect(lines.at(-1)).toContain('RUN_END by agent, exit code 7')
    expect(told.out).toContain('GUEST ready')
    for (const [name, text] of Object.entries({ stdout: STDOUT, stderr: STDERR }))
      expect(told.out).toContain(`STDIO ${name}: ${text.length} B, sha256 ${sha256(text)}`)
    // What the agent wrote is told by number and digest alone, and nothing in a line acts on a terminal.
    expect(told.out).not.toMatch(/begun|nobody|went wrong/)
    expect(told.out).not.toContain('\x1b')
    expect(told.err).toContain('is not kept')

    const asJson = await authority(vm, 'logs', run.slice(0, 12), '--json')
    const records = shownOf(asJson.out)
    expect(records.map(({ seq }) => seq)).toEqual(numbers(told.out))
    expect(records.filter(({ type }) => type === 'STDIO').map(({ fd, bytes, sha256: digest }) => ({ fd, bytes, digest }))).toEqual([
      { fd: 0, bytes: expect.any(Number), digest: expect.any(String) },
      { fd: 1, bytes: STDOUT.length, digest: sha256(STDOUT) },
      { fd: 2, bytes: STDERR.length, digest: sha256(STDERR) },
    ])
    expect(ascending(records.map(({ t }) => Date.parse(t)).map((ms, i) => ms * 1e3 + i))).toBe(true)
    expect(asJson.err).toBe('')
  }))

test.concurrent('of a run whose gate was killed: what was on record until then, and the end that recovery gave it', () =>
  inTurn(async () => {
    const started = startRun(vm, ['wait'], { program: vm.at('speaker') })
    await new Promise<void>((resolve, reject) => {
      started.child.stdout?.on('data', (chunk: Buffer) => chunk.includes('begun') && resolve())
      started.child.on('close', () => reject(new Error('ended before the agent began')))
    })
    const family = descendantsOf(started.child.pid ?? 0)
    process.kill(family[0] ?? 0, 'SIGKILL')
    const { code, stderr } = await started.done
    expect(code).toBe(125)
    for (const pid of family) expect(waitGone(pid, 15_000)).toBe(true)
    const id = /run ([0-9a-f]{12})/.exec(stderr)?.[1] ?? 'none'

    const told = await authority(vm, 'logs', id)
    expect(told.code).toBe(0)
    expect(ascending(numbers(told.out))).toBe(true)
    expect(told.out).toMatch(new RegExp(`^ *0 .* RUN_START run ${id}`))
    // The agent's opening is on stable storage before it goes on, and with it all that came before.
    expect(told.out).toContain('GUEST ready')
    expect(told.out).not.toContain('STDIO')
    expect(told.out).not.toContain('/data/read.txt')
    expect(told.out).not.toContain('RUN_END by agent')
    expect(told.out).not.toMatch(/begun|nobody|went wrong/)
    // The next command that looks at runs recovers it: what was told stays, and the end says who ended it.
    expect((await authority(vm, 'runs', 'ls')).code).toBe(0)
    const after = await authority(vm, 'logs', id)
    expect(after.out.startsWith(told.out)).toBe(true)
    expect(after.out.slice(told.out.length)).toMatch(
      /^ *\d+ {2}\S+ {2}RECOVERED 0 bytes.*\n *\d+ {2}\S+ {2}RUN_END by crash, exit code 125, 1 effects, 0 denials.*\n$/,
    )
  }))

test.concurrent.each([['ffffffffffff'], ['f'.repeat(32)], ['./nowhere']])(
  'of %s, which is no run: an error that says so, no record, nothing made',
  (run) =>
    inTurn(async () => {
      const before = runFolders(vm).length
      const { code, out, err } = await authority(vm, 'logs', run)
      expect(code).not.toBe(0)
      expect(out).toBe('')
      expect(err).toMatch(/^authority: /)
      expect(err).not.toMatch(/\n\s+at /)
      expect(runFolders(vm).some((folder) => folder.includes('fffff'))).toBe(false)
      expect(runFolders(vm).length).toBeGreaterThanOrEqual(before)
    }),
)
