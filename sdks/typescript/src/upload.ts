import { AuthorityError } from '@authority/protocol'
import { invalid } from './errors.ts'
import { MAX_WHOLE_BODY_BYTES } from './limits.ts'
import type { ByteStream } from './stream.ts'

type Part = Uint8Array | string

/** What a request may carry: all of it, or as it comes. */
export type Body = Part | Blob | ReadableStream<Part> | AsyncIterable<Part> | Iterable<Part>

/** A body that is too large for the request itself, or not known when it begins. */
export interface BodySource {
  next(): Promise<IteratorResult<unknown, unknown>> | IteratorResult<unknown, unknown>
  /** Nobody wants the rest. */
  stop(): unknown
  /** Null: not known. */
  readonly bytes: number | null
}

/** A body as bytes that fit the request, or as a source to stream. Throws E_CONFLICT for anything else. */
export function bodyOf(body: Body | undefined, given: number | undefined): Uint8Array | BodySource | null {
  if (given !== undefined && (!Number.isSafeInteger(given) || given < 0))
    throw invalid(`bodyBytes must be a whole number of bytes, not ${given}`)
  if (body === undefined || body === null) return null
  const bytes = given ?? null
  if (typeof body === 'string') return wholeOf(new TextEncoder().encode(body))
  if (body instanceof Uint8Array) return wholeOf(body)
  if (body instanceof Blob) return ofStream(body.stream(), body.size)
  if (body instanceof ReadableStream) return ofStream(body, bytes)
  if (typeof body !== 'object') throw noBody()
  if (Symbol.asyncIterator in body) return ofIterator(body[Symbol.asyncIterator](), bytes)
  if (Symbol.iterator in body) return ofIterator(body[Symbol.iterator](), bytes)
  throw noBody()
}

function noBody(): AuthorityError {
  return invalid('a body is text, bytes, a Blob, a ReadableStream or an iterable of text and bytes')
}

function wholeOf(bytes: Uint8Array): Uint8Array | BodySource {
  return bytes.length <= MAX_WHOLE_BODY_BYTES ? bytes : ofIterator([bytes].values(), bytes.length)
}

function ofStream(stream: ReadableStream<unknown>, bytes: number | null): BodySource {
  const reader = stream.getReader()
  return { next: () => reader.read() as Promise<IteratorResult<unknown>>, stop: () => reader.cancel(), bytes }
}

function ofIterator(iterator: AsyncIterator<unknown> | Iterator<unknown>, bytes: number | null): BodySource {
  return { next: () => iterator.next(), stop: () => iterator.return?.(), bytes }
}

/** Writes it all and ends the stream; stops, without a word, when the gate wants no more of it. Rejects with what the source throws; the stream is reset then. */
export async function sendBody(source: BodySource, stream: ByteStream, timeoutMs: number): Promise<void> {
  // At once, not when the source yields next: it may never.
  stream.finished.then(() => source.stop()).catch(() => undefined)
  try {
    for (let part = await source.next(); part.done !== true; part = await source.next()) {
      if (typeof part.value !== 'string' && !(part.value instanceof Uint8Array)) throw invalid('a body yields text and bytes')
      await stream.write(part.value, { timeoutMs })
    }
    await stream.end()
  } catch (error) {
    if (stream.over && error instanceof AuthorityError) return
    await stream.close()
    throw error
  }
}
