/** The image of the client tests: Python, and beside it programs of this host, with the authority of the tests among those the image knows. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, runProgram } from '../../process/run-program.ts'
import { copyNode, copyTool, copyTools, type NodeFolder } from '../programs-guest/tools.ts'

const ROOT = join(import.meta.dirname, '../../..')
const TOOLS = 'bash cat curl env git ls mkdir openssl timeout wget'.split(' ')
const SCRIPTS = ['clients.sh', 'clients.mjs', 'clients.py', 'clients.ts', 'serve.mjs']
const HOST_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'

/** Fills `folder` with `program/agent.py` and the config.json that puts the rest into its image. Answers where Node and npm are in it. */
export async function makeClientsImage(folder: string, authority: string): Promise<NodeFolder> {
  const at = (...parts: string[]): string => join(folder, ...parts)
  for (const name of ['program', 'shell', 'certs', 'tools/scripts']) mkdirSync(at(name), { recursive: true })
  await copyTools(at('tools'), TOOLS)
  await copyTool(at('tools'), join(await gitPrograms(), 'git-remote-http'), at('tools/bin/git-remote-http'))
  symlinkSync('git-remote-http', at('tools/bin/git-remote-https'))
  const node = await copyNode(at('tools'), at('nodejs'))
  await copyTool(at('tools'), process.execPath, at('tools/bin/bun'))
  await buildGo(folder, at('tools/bin/go-client'))
  cpSync(await pythonPackages(), at('tools/python'), { recursive: true, preserveTimestamps: true })
  for (const name of SCRIPTS) copyFileSync(join(import.meta.dirname, name), at('tools/scripts', name))
  copyFileSync(join(import.meta.dirname, '../programs-guest/agent.py'), at('program/agent.py'))
  // wget and git start what they need through it.
  copyFileSync(realpathSync('/bin/sh'), at('shell/sh'))
  writeFileSync(at('certs/ca-certificates.crt'), `${readFileSync(HOST_BUNDLE, 'utf8')}\n${authority}`)
  chmodSync(at('certs/ca-certificates.crt'), 0o644)
  writeFileSync(
    at('config.json'),
    JSON.stringify({ MapDirs: { tools: '/opt/tools', nodejs: node.guest, shell: '/usr/bin', certs: '/etc/ssl/certs' } }),
  )
  return node
}

async function output(...line: readonly string[]): Promise<string> {
  return Buffer.from((await runProgram(line)).stdout)
    .toString()
    .trim()
}

const gitPrograms = (): Promise<string> => output('git', '--exec-path')

const pythonPackages = (): Promise<string> =>
  output(join(ROOT, '.cache/venv/bin/python'), '-c', "import sysconfig; print(sysconfig.get_path('purelib'))")

/** Static: its own resolver. What it compiles outlives the test. */
async function buildGo(folder: string, target: string): Promise<void> {
  const env = { HOME: folder, GOCACHE: join(ROOT, '.cache/go'), CGO_ENABLED: '0', GO111MODULE: 'off', GOTOOLCHAIN: 'local', GOFLAGS: '' }
  const line = [findProgram('go') ?? 'go', 'build', '-o', target, join(import.meta.dirname, 'clients.go')]
  const built = await runProgram(line, { env, deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
}
