import { AuthorityError, type ErrorCode } from '@authority/protocol'

/**
 * Why an image could not be built or read, in the words a command needs to choose its exit code:
 * `not-found` 127, `not-executable` 126, everything else 125 under `run` and 64/70 elsewhere.
 */
export type ImageFault = 'not-found' | 'not-executable' | 'bad-input' | 'too-big' | 'corrupt' | 'unavailable' | 'host-io'

const CODE: Readonly<Record<ImageFault, ErrorCode>> = {
  'not-found': 'E_NOT_FOUND',
  'not-executable': 'E_CONFLICT',
  'bad-input': 'E_CONFLICT',
  'too-big': 'E_CONFLICT',
  corrupt: 'E_CONFLICT',
  unavailable: 'E_UNSUPPORTED',
  'host-io': 'E_IO',
}

/** A failure of building, storing or reading images and of what they are made of. The message names place and cause, the hint the next step. */
export class ImageError extends AuthorityError {
  readonly fault: ImageFault

  constructor(fault: ImageFault, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(CODE[fault], message, options)
    this.name = 'ImageError'
    this.fault = fault
  }
}

/** The host's errno name of a node:fs failure, for messages. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : error instanceof Error ? error.message : String(error)
}
