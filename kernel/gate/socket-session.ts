import { AuthorityError, encodeMessage, LinkReader, MAX_FRAME_BYTES } from '@authority/protocol'
import type { Subject } from '../vocabulary/index.ts'
import { MAX_UNREAD_BYTES } from './limits.ts'
import type { OperationRegistry } from './registry.ts'
import { Session } from './session.ts'
import type { Transport } from './transport.ts'

export interface SocketSessionOptions {
  readonly transport: Transport
  readonly subject: Subject
  readonly run: string
  readonly registry: OperationRegistry
  readonly onEnd: () => void
}

/** A unix socket carries one session, number 0 in its link header. Returns its end. */
export function serveSocketSession(options: SocketSessionOptions): Session {
  const { transport } = options
  const reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  const session = new Session({
    subject: options.subject,
    run: options.run,
    registry: options.registry,
    send: (message) => transport.write(encodeMessage(0, message)),
    onEnd: () => {
      reader.stop()
      transport.close()
      options.onEnd()
    },
  })
  transport.onData = (chunk) => {
    try {
      reader.push(chunk, (number, item) => {
        if (number !== 0) throw new AuthorityError('E_PROTOCOL', `session ${number} on a socket that carries session 0 only`)
        session.receive(item)
      })
    } catch (error) {
      session.refuse(error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the socket failed', { cause: error }))
    }
    // A client that does not read its answers is not listened to until it does.
    if (transport.queued > MAX_UNREAD_BYTES) transport.pause()
  }
  transport.onDrain = () => transport.resume()
  transport.onClose = () => void session.end()
  return session
}
