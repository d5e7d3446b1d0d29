import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import { afterEach, describe, expect, it } from 'vitest'
import { ensureInstallation, openRunLog } from '../index.ts'
import { AT_ONCE, intent, RUN_END, runStart, work } from '../testing/scenario.ts'
import { exportOtlp } from './send.ts'

const { root } = protobuf.parse(readFileSync(join(import.meta.dirname, 'otlp.proto'), 'utf8'), { keepCase: true })
const Request = root.lookupType('authority.otlp.ExportTraceServiceRequest')
const Response = root.lookupType('authority.otlp.ExportTraceServiceResponse')

interface Attribute {
  readonly key: string
  readonly value: { readonly string_value?: string; readonly int_value?: number }
}
interface SeenSpan {
  readonly trace_id: string
  readonly span_id: string
  readonly parent_span_id?: string
  readonly name: string
  readonly start_time_unix_nano: string
  readonly end_time_unix_nano: string
  readonly attributes: readonly Attribute[]
  readonly events?: readonly { readonly name: string; readonly attributes: readonly Attribute[] }[]
  readonly status: { readonly code?: number }
}

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function collector(
  answer: (n: number) => { readonly status: number; readonly body?: Uint8Array },
): Promise<{ url: string; spans: SeenSpan[] }> {
  const spans: SeenSpan[] = []
  let n = 0
  const server: Server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { status, body } = answer(n++)
      if (status === 200) {
        expect(incoming.url).toBe('/v1/traces')
        expect(incoming.headers['content-type']).toBe('application/x-protobuf')
        const message = Request.toObject(Request.decode(Buffer.concat(chunks)), { longs: String, bytes: String })
        spans.push(...message.resource_spans[0].scope_spans[0].spans)
      }
      outgoing.writeHead(status).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans }
}

async function run(): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'authority-audit-'))
  closers.push(() => rmSync(home, { recursive: true }))
  const installation = await ensureInstallation(home)
  const log = await openRunLog({ path: join(home, 'run'), installation, start: runStart(installation), ...AT_ONCE })
  await work(log, 3)
  const model = log.append({ ...intent('claude'), op: 'infer.chat', action: 'infer' })
  log.append({ type: 'OUTCOME', intent: model, status: 'error', code: 'E_UPSTREAM', captured: { calls: 1 }, us: { policy: 12 } })
  await log.seal(RUN_END)
  return log.path
}

const options = { version: '1', pause: () => Promise.resolve() }
const value = (span: { readonly attributes: readonly Attribute[] }, key: string): unknown => {
  const found = span.attributes.find((attribute) => attribute.key === key)?.value
  return found?.string_value ?? found?.int_value
}

describe('export to a collector', () => {
  it('sends a span for the run and for each effect, and denials as events', async () => {
    const { url, spans } = await collector(() => ({ status: 200 }))
    expect(await exportOtlp(await run(), url, options)).toEqual({ spans: 8, requests: 1 })
    const root = spans.at(-1)
    expect(root?.name).toBe('authority run')
    expect(root?.events?.map((event) => [event.name, value(event, 'authority.code')])).toEqual(
      Array(3).fill(['authority.denied', 'E_POLICY_DENY']),
    )
    for (const span of spans.slice(0, -1)) {
      expect(span.parent_span_id).toBe(root?.span_id)
      expect(span.trace_id).toBe(root?.trace_id)
      expect(BigInt(span.end_time_unix_nano)).toBeGreaterThanOrEqual(BigInt(span.start_time_unix_nano))
    }
    expect(new Set(spans.map((span) => span.span_id)).size).toBe(8)
    const model = spans.find((span) => span.name === 'chat claude')
    expect(model && value(model, 'gen_ai.request.model')).toBe('claude')
    expect(model && value(model, 'authority.us.policy')).toBe('12')
    expect(model?.status.code).toBe(2)
  })

  it('tries again while the collector is busy, and says what it answered at last', async () => {
    const path = await run()
    const busy = await collector((n) => ({ status: n < 2 ? 503 : 200 }))
    expect((await exportOtlp(path, busy.url, options)).spans).toBe(8)
    const never = await collector(() => ({ status: 429 }))
    await expect(exportOtlp(path, never.url, options)).rejects.toThrow('HTTP 429')
    const wrong = await collector(() => ({ status: 400 }))
    await expect(exportOtlp(path, wrong.url, options)).rejects.toThrow('HTTP 400')
    const partial = Response.encode({ partial_success: { rejected_spans: 3, error_message: 'too old' } }).finish()
    const picky = await collector(() => ({ status: 200, body: partial }))
    await expect(exportOtlp(path, picky.url, options)).rejects.toThrow('rejected 3 spans: too old')
  })

  it('refuses what is no URL, and follows no redirect', async () => {
    const path = await run()
    for (const bad of ['', 'collector', 'ftp://x', 'http://user:secret@127.0.0.1/'])
      await expect(exportOtlp(path, bad, options)).rejects.toThrow('no URL')
    const moved = await collector(() => ({ status: 307 }))
    await expect(exportOtlp(path, moved.url, options)).rejects.toThrow('HTTP 307')
  })
})
