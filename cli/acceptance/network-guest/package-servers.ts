/** What git, npm and pip talk to: git's own HTTP server behind a CGI call, a registry of one package and an index of one wheel. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { runProgram } from '../../process/run-program.ts'
import { makeArchives, WHEEL } from '../programs-guest/archives.ts'

export interface PackageServers {
  /** False when the request is for none of them. */
  answer(request: IncomingMessage, response: ServerResponse): boolean
  /** Subjects of the repository's commits, newest first. */
  commits(): Promise<readonly string[]>
}

export async function openPackageServers(folder: string): Promise<PackageServers> {
  const [repositories, archives] = [join(folder, 'repositories'), join(folder, 'archives')]
  mkdirSync(archives)
  await makeArchives(archives)
  await makeRepository(repositories)
  return {
    answer: (request, response) => {
      const path = new URL(request.url ?? '/', 'http://any').pathname
      if (path.startsWith('/git/')) callGit(repositories, request, response)
      else if (path === '/npm/package-of-ours') response.end(packument(archives, origin(request)))
      else if (path === '/simple/wheel-of-ours/')
        response.setHeader('content-type', 'text/html').end(`<a href="/archives/${WHEEL}">${WHEEL}</a>`)
      else if (path === '/archives/package.tgz' || path === `/archives/${WHEEL}`) response.end(readFileSync(join(folder, path)))
      else return false
      return true
    },
    commits: async () => {
      const { stdout } = await git('-C', join(repositories, 'shared.git'), 'log', '--format=%s', 'main')
      return Buffer.from(stdout).toString().trim().split('\n')
    },
  }
}

/** As the client named it: a registry's links lead to the registry. */
function origin(request: IncomingMessage): string {
  return `${secure(request) ? 'https' : 'http'}://${request.headers.host ?? request.headers[':authority']}`
}

const secure = (request: IncomingMessage): boolean => 'encrypted' in request.socket && request.socket.encrypted === true

function packument(archives: string, from: string): string {
  const integrity = `sha512-${createHash('sha512')
    .update(readFileSync(join(archives, 'package.tgz')))
    .digest('base64')}`
  const version = { name: 'package-of-ours', version: '1.0.0', dist: { tarball: `${from}/archives/package.tgz`, integrity } }
  return JSON.stringify({ name: 'package-of-ours', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } })
}

const git = (...args: readonly string[]) =>
  runProgram(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'safe.directory=*', ...args])

async function makeRepository(repositories: string): Promise<void> {
  const [bare, first] = [join(repositories, 'shared.git'), join(repositories, 'first')]
  mkdirSync(repositories)
  await git('init', '-q', '--bare', '-b', 'main', bare)
  await git('-C', bare, 'config', 'http.receivepack', 'true')
  await git('clone', '-q', bare, first)
  await git('-C', first, 'commit', '-q', '--allow-empty', '-m', 'first')
  const pushed = await git('-C', first, 'push', '-q', 'origin', 'HEAD:main')
  if (pushed.code !== 0) throw new Error(pushed.stderr)
}

/** RFC 3875, as far as git http-backend asks for it. */
function callGit(repositories: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://any')
  const env = {
    PATH: process.env['PATH'] ?? '',
    GIT_PROJECT_ROOT: repositories,
    GIT_HTTP_EXPORT_ALL: '1',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
    PATH_INFO: pathname.slice('/git'.length),
    QUERY_STRING: search.slice(1),
    REQUEST_METHOD: request.method ?? 'GET',
    CONTENT_TYPE: request.headers['content-type'] ?? '',
    CONTENT_LENGTH: request.headers['content-length'] ?? '',
    HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
  }
  const child = spawn('git', ['http-backend'], { env, stdio: ['pipe', 'pipe', 'ignore'] })
  const parts: Buffer[] = []
  request.on('data', (data) => child.stdin.write(data)).on('end', () => child.stdin.end())
  child.stdout.on('data', (data) => parts.push(data))
  child.once('close', () => {
    const all = Buffer.concat(parts)
    const end = all.indexOf('\r\n\r\n')
    for (const line of all.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(': ')
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.end(all.subarray(end + 4))
  })
}
