import fc from 'fast-check'
import { parse } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import type { Question } from '../vocabulary/index.ts'
import { learn, loadPolicy, type Need } from './index.ts'
import { bytesOf } from './testing.ts'

const need = (action: Question['action'], object: string): Need => ({ question: { action, object }, image: false, count: 1 })
const NEEDS = [need('fs.read', '/in/a'), need('fs.write', '/out/b'), need('net.connect', 'dns:api.example.com:443')]
const taught = (text: string, needs: readonly Need[] = NEEDS): string => learn(text, 'policy.toml', needs, 'literal').text

describe('learning into TOML', () => {
  it('makes a policy of nothing', () => {
    expect(taught('version = "1.0"\n')).toBe(
      'version = "1.0"\n\n[fs]\nwrite = ["/out/b"]\nread = ["/in/a"]\n\n[net]\nconnect = ["dns:api.example.com:443"]\n',
    )
  })

  it('keeps comments, order and layout', () => {
    const text = `# the policy of the report agent
version = "1.0" # of the format

[fs] # files
# what comes in
read = [
  "/in/x", # a reason
  '/in/y',
]

[budgets]
calls = 5
`
    expect(taught(text)).toBe(`# the policy of the report agent
version = "1.0" # of the format

[fs] # files
write = ["/out/b"]
# what comes in
read = [
  "/in/x", # a reason
  '/in/y',
  "/in/a",
]

[budgets]
calls = 5

[net]
connect = ["dns:api.example.com:443"]
`)
  })

  it.each([
    ['dotted keys', 'version = "1.0"\nfs.read = ["/x"]\nnet.dns = []\n'],
    ['inline tables', 'version = "1.0"\nfs = { read = ["/x"] }\nnet = {}\n'],
    ['only a table below', 'version = "1.0"\n[fs.deny]\nread = ["/x"]\n'],
    ['quoted keys', '"version" = "1.0"\n["fs"]\n"read" = ["/x"]\n'],
    ['an empty list', 'version = "1.0"\n[fs]\nread = [ ]\nwrite = [\n]\n'],
    ['no newline at the end', 'version = "1.0"\n[fs]\nread = ["/x"]'],
    ['carriage returns', 'version = "1.0"\r\n[fs]\r\nread = [\r\n  "/x",\r\n]\r\n'],
    ['brackets and hashes in strings', 'version = "1.0"\n[fs]\nread = ["/x[]]#[[]", \'/y"\', """/z"""] # ]\n'],
    ['tables in an array', 'version = "1.0"\n[[tools.allow]]\nname = "t"\nargs = { "/n" = { max = 3 } }\n[fs]\nread = []\n'],
  ])('whatever the layout, the result holds the old rules and the new: %s', (_, text) => {
    const tree = parse(taught(text)) as { fs: { read: string[]; write: string[] }; net: { connect: string[] } }
    const before = parse(text) as { fs?: { read?: string[] } }
    expect(tree.fs.read).toEqual([...(before.fs?.read ?? []), '/in/a'])
    expect(tree.fs.write).toEqual(['/out/b'])
    expect(tree.net.connect).toEqual(['dns:api.example.com:443'])
    const policy = loadPolicy(bytesOf(taught(text)), 'policy.toml')
    for (const { question } of NEEDS) expect(policy.decide(question).allow).toBe(true)
  })

  it('a rule for looking gives way to the same rule for reading, wherever it stands in the list', () => {
    const looks = (list: string): unknown =>
      (parse(taught(`version = "1.0"\n[fs]\nlook = ${list}\n`)) as { fs: { look?: string[] } }).fs.look
    expect(looks('["/in/a", "/k"]')).toEqual(['/k'])
    expect(looks('["/k", "/in/a", "/l"]')).toEqual(['/k', '/l'])
    expect(looks('[\n  "/k",\n  "/in/a", # learned\n]')).toEqual(['/k'])
    expect(looks('["/in/a"]')).toBeUndefined()
  })

  const name = fc.constantFrom('a', 'b "q"', "it's", '[x]', '#', '\\n', 'é', '*')
  const layout = fc.constantFrom(
    (rules: string[]) => `[fs]\nread = [${rules.join(', ')}]\n`,
    (rules: string[]) => `[fs]\nread = [\n${rules.map((rule) => `\t${rule}, # ]\n`).join('')}]\n`,
    (rules: string[]) => `fs.read = [${rules.join(',')}]\n`,
    (rules: string[]) => `fs = { read = [${rules.join(', ')}] }\n`,
  )
  it('what is written always loads, allows what was needed, and nothing the old policy said is lost', () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 3 }), layout, fc.array(name, { maxLength: 3 }), (had, lay, wanted) => {
        const rule = (text: string): string => `/h/${text.replace(/[*?[\]{}\\]/g, (special) => `[${special}]`)}`
        const text = `version = "1.0"\n${lay(had.map((each) => JSON.stringify(rule(each))))}`
        const questions = wanted.map((each): Question => ({ action: 'fs.read', object: `/h/${each}` }))
        const written = taught(
          text,
          questions.map((question) => ({ question, image: false, count: 1 })),
        )
        const policy = loadPolicy(bytesOf(written), 'policy.toml')
        for (const question of questions) expect(policy.decide(question).allow).toBe(true)
        expect(policy.document.fs.read.slice(0, had.length)).toEqual(had.map(rule))
      }),
      { numRuns: 300 },
    )
  })

  it('ten thousand rules learned and as many looks replaced cost no more than a few seconds', { timeout: 60_000 }, () => {
    const paths = Array.from({ length: 10_000 }, (_, index) => `/w/${index}`)
    const base = `version = "1.0" # kept\n[fs]\nlook = ${JSON.stringify(paths.slice(0, 150))}\n`
    const needs = paths.map((object) => ({ question: { action: 'fs.read' as const, object }, image: false, count: 1 }))
    const { text, replaced } = learn(base, 'p.toml', needs, 'literal')
    expect([replaced.length, text.includes('# kept')]).toEqual([150, true])
    expect(loadPolicy(bytesOf(text), 'p.toml').document.fs).toMatchObject({ look: [], read: paths })
    const all = `version = "1.0"\n[fs]\nlook = ${JSON.stringify(paths)}\n`
    expect(loadPolicy(bytesOf(learn(all, 'p.toml', needs, 'literal').text), 'p.toml').document.fs).toMatchObject({ look: [], read: paths })
  })
})
