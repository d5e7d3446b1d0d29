import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeWorlds } from '../../gate/testing/world.ts'
import { AUTHORITY, SERVER } from './testing/certificates.ts'
import { type HttpWitness, httpWitness } from './testing/http.ts'
import { netWorld } from './testing/world.ts'

let server: HttpWitness
beforeEach(async () => {
  server = await httpWitness((_, response) => response.end('secure'), SERVER)
})
afterEach(async () => {
  closeWorlds()
  await server.close()
})

async function status(url: string, roots?: readonly string[]): Promise<unknown> {
  const names = ['good.example', 'other.example']
  const net = await netWorld({
    connect: [...names.map((name) => `dns:${name}:${server.port}`), `ip:127.0.0.1:${server.port}`],
    hosts: Object.fromEntries(names.map((name) => [name, '127.0.0.1'])),
    ...(roots === undefined ? {} : { roots }),
  })
  const answer = await net.peer.call('net.fetch', ['GET', url, [], null, 0, 5000, 0, 0, null])
  await net.session.end()
  return typeof answer === 'string' ? answer : answer[0]
}

describe('https', () => {
  test('a certificate of a trusted authority for this name, or this address', async () => {
    expect(await status(`https://good.example:${server.port}/`, [AUTHORITY])).toBe(200)
    expect(await status(`https://127.0.0.1:${server.port}/`, [AUTHORITY])).toBe(200)
    expect(server.seen.length).toBe(2)
  })

  test('for another name: refused before a byte of the request is sent', async () => {
    expect(await status(`https://other.example:${server.port}/`, [AUTHORITY])).toBe('E_UPSTREAM')
    expect(server.seen).toEqual([])
  })

  test('of an authority nobody trusts: refused', async () => {
    expect(await status(`https://good.example:${server.port}/`)).toBe('E_UPSTREAM')
    expect(server.seen).toEqual([])
  })

  test('to a server that speaks no TLS, and plain HTTP to one that does', async () => {
    const plain = await httpWitness((_, response) => response.end())
    const net = await netWorld({ connect: [`dns:good.example:${plain.port}`], hosts: { 'good.example': '127.0.0.1' }, roots: [AUTHORITY] })
    expect(await net.peer.call('net.fetch', ['GET', `https://good.example:${plain.port}/`, [], null, 0, 5000, 0, 0, null])).toBe(
      'E_UPSTREAM',
    )
    expect(plain.seen).toEqual([])
    expect(await status(`http://good.example:${server.port}/`, [AUTHORITY])).toBe('E_UPSTREAM')
    await net.session.end()
    await plain.close()
  })
})

describe('no variable of the environment opens it', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'authority-tls-'))
    writeFileSync(join(folder, 'ca.pem'), AUTHORITY)
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const once = (env: Record<string, string>, url: string, ...root: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'testing/fetch-once.ts'), url, ...root], {
        env: { PATH: process.env.PATH ?? '', ...env },
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      let out = ''
      child.stdout.on('data', (data) => {
        out += String(data)
      })
      child.once('error', reject)
      child.once('close', () => resolve(out))
    })

  test('extra authorities, switched off verification, proxies', async () => {
    const url = `https://good.example:${server.port}/`
    expect(await once({}, url, AUTHORITY)).toBe('200')
    const ca = join(folder, 'ca.pem')
    const proxy = `http://127.0.0.1:${server.port}`
    const open = {
      NODE_EXTRA_CA_CERTS: ca,
      SSL_CERT_FILE: ca,
      SSL_CERT_DIR: folder,
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      HTTP_PROXY: proxy,
      HTTPS_PROXY: proxy,
      ALL_PROXY: proxy,
    }
    expect(await once(open, url)).toMatch(/^E_UPSTREAM /)
    expect(await once(open, `https://other.example:${server.port}/`, AUTHORITY)).toMatch(/^E_UPSTREAM /)
    expect(server.seen.length).toBe(1)
  }, 20_000)
})
