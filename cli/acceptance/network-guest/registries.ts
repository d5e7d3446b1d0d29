/** The package registries this machine is set up to use, where they answer. Their addresses are asked of npm and pip and stand nowhere here. */
import { lookup } from 'node:dns/promises'
import { join } from 'node:path'
import { runProgram } from '../../process/run-program.ts'

const ROOT = join(import.meta.dirname, '../../..')
const ANSWER_MS = 15_000

export interface Registry {
  readonly url: string
  /** NAME=ADDRESS of each host it needs, as this machine resolves them: a mirror may stand at an address that is not a public one. */
  readonly hosts: readonly string[]
}

/** Null where it cannot be reached from here. */
export async function npmRegistry(): Promise<Registry | null> {
  const url = await output('npm', 'config', 'get', 'registry')
  return reachable(url, [url], 'picocolors')
}

export async function pipIndex(): Promise<Registry | null> {
  const python = join(ROOT, '.cache/venv/bin/python')
  const configured = await output(python, '-m', 'pip', 'config', 'get', 'global.index-url')
  const own = 'from pip._internal.models.index import PyPI as i; print(i.simple_url); print("https://" + i.file_storage_domain)'
  const [index = '', files = ''] = (await output(python, '-c', own)).split('\n')
  return configured === '' ? reachable(index, [index, files], 'iniconfig/') : reachable(configured, [configured], 'iniconfig/')
}

async function output(...line: readonly string[]): Promise<string> {
  return Buffer.from((await runProgram(line)).stdout)
    .toString()
    .trim()
}

async function reachable(url: string, needed: readonly string[], example: string): Promise<Registry | null> {
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') return null
  const base = url.endsWith('/') ? url : `${url}/`
  try {
    const answer = await fetch(new URL(example, base), { signal: AbortSignal.timeout(ANSWER_MS) })
    if (!answer.ok) return null
    const hosts = needed.map(async (each) => `${new URL(each).hostname}=${(await lookup(new URL(each).hostname, 4)).address}`)
    return { url: base, hosts: await Promise.all(hosts) }
  } catch {
    return null
  }
}
