/** `npm run campaign -- NAME [ARGS]`: the exhaustive sweeps of which `npm test` runs a seeded sample. Without a name: the list. */
import { basename, join } from 'node:path'
import { ROOT } from './toolchain.mjs'

/** Each file of cli/campaigns/ is one campaign: `about` says what it sweeps, `campaign(args)` runs it and returns how many promises broke. */
interface Campaign {
  readonly about: string
  campaign(args: readonly string[]): Promise<number>
}

const folder = join(ROOT, 'cli/campaigns')
const names = [...new Bun.Glob('*.ts').scanSync({ cwd: folder })]
  .filter((file) => !file.endsWith('.test.ts'))
  .map((file) => basename(file, '.ts'))
  .sort()
const [name, ...args] = process.argv.slice(2)

if (name === undefined || !names.includes(name)) {
  for (const each of names) console.log(`${each.padEnd(20)} ${(await load(each)).about}`)
  process.exit(name === undefined ? 0 : 64)
}
const started = performance.now()
const broken = await (await load(name)).campaign(args)
console.log(
  `${name}: ${broken === 0 ? 'no promise broken' : `${broken} broken promises`} in ${((performance.now() - started) / 1000).toFixed(0)} s`,
)
process.exit(broken === 0 ? 0 : 1)

function load(each: string): Promise<Campaign> {
  return import(join(folder, `${each}.ts`)) as Promise<Campaign>
}
