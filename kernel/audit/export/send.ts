/** Sends a log to an OpenTelemetry collector by OTLP over HTTP. The collector is the one given: no environment variable and no proxy has a say. */
import { AuthorityError } from '@authority/protocol'
import { Agent, request } from 'undici/index.js'
import { readRecords } from '../show.ts'
import { encodeSpans, rejectedSpans, type Span } from './encode.ts'
import { BATCH_SPANS, FIRST_PAUSE_MS, MAX_ANSWER_BYTES, REQUEST_MS, TRIES } from './limits.ts'
import { Spans } from './spans.ts'

export interface ExportReport {
  readonly spans: number
  readonly requests: number
}

export interface SendOptions {
  readonly version: string
  /** Waits; passed in so that tests need not. */
  readonly pause?: (ms: number) => Promise<void>
}

/** Sends the whole log at `path`. `collector` is the base URL (…/v1/traces is added when it has no path). Throws E_UPSTREAM, E_AUDIT; E_PROTOCOL for a URL that is none. */
export async function exportOtlp(path: string, collector: string, options: SendOptions): Promise<ExportReport> {
  const url = tracesUrl(collector)
  const agent = new Agent({ connect: { timeout: REQUEST_MS }, pipelining: 1, connections: 1 })
  const spans = new Spans()
  const scope = { name: 'authority.audit', version: options.version }
  let waiting: Span[] = []
  let [sent, requests] = [0, 0]
  const flush = async (): Promise<void> => {
    if (waiting.length === 0) return
    await post(agent, url, encodeSpans(spans.resource, scope, waiting), options.pause ?? pauseMs)
    sent += waiting.length
    requests++
    waiting = []
  }
  try {
    for await (const record of readRecords(path)) {
      waiting.push(...spans.add(record))
      if (waiting.length >= BATCH_SPANS) await flush()
    }
    waiting.push(...spans.finish())
    await flush()
    return { spans: sent, requests }
  } finally {
    await agent.destroy()
  }
}

const pauseMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function tracesUrl(collector: string): URL {
  const url = URL.canParse(collector) ? new URL(collector) : null
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '')
    throw new AuthorityError('E_PROTOCOL', `${JSON.stringify(collector)} is no URL of a collector.`, {
      hint: 'For example: http://127.0.0.1:4318',
    })
  if (url.pathname === '/') url.pathname = '/v1/traces'
  return url
}

async function post(agent: Agent, url: URL, body: Uint8Array, pause: (ms: number) => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const failure = await once(agent, url, body)
    if (failure === null) return
    if (!failure.again || attempt === TRIES)
      throw new AuthorityError('E_UPSTREAM', `The collector ${url.origin} did not take the spans: ${failure.why}.`, {
        hint: 'Is it running, and does it take OTLP over HTTP there? Everything is in the log still: export again.',
      })
    await pause(FIRST_PAUSE_MS * 2 ** (attempt - 1))
  }
}

async function once(agent: Agent, url: URL, body: Uint8Array): Promise<{ readonly why: string; readonly again: boolean } | null> {
  try {
    const answer = await request(url, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body,
      headersTimeout: REQUEST_MS,
      bodyTimeout: REQUEST_MS,
      signal: AbortSignal.timeout(REQUEST_MS),
    })
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > MAX_ANSWER_BYTES) return { why: `it answers with more than ${MAX_ANSWER_BYTES} bytes`, again: false }
      chunks.push(chunk)
    }
    const status = answer.statusCode
    if (status < 200 || status > 299) return { why: `HTTP ${status}`, again: [429, 502, 503, 504].includes(status) }
    const { rejected, message } = rejectedSpans(Buffer.concat(chunks))
    return rejected > 0 ? { why: `it rejected ${rejected} spans: ${message.slice(0, 200)}`, again: false } : null
  } catch (error) {
    if (error instanceof RangeError) return { why: 'its answer is no OTLP', again: false }
    return { why: (error as { code?: string }).code ?? (error instanceof Error ? error.message : String(error)), again: true }
  }
}
