import { AuthorityError, encodeMessage, LinkReader, MAX_FRAME_BYTES } from '@authority/protocol'
import type { Subject } from '../vocabulary/index.ts'
import { Intake } from './intake.ts'
import type { OperationRegistry } from './registry.ts'
import { Session } from './session.ts'
import type { Transport } from './transport.ts'

export interface SocketSessionOptions {
  readonly transport: Transport
  readonly subject: Subject
  readonly run: string
  readonly registry: OperationRegistry
  /** The session is over; what it had may still be closing (`session.end()` resolves when it is). */
  readonly onEnd: () => void
}

/** A unix socket carries one session, number 0 in its link header. */
export function serveSocketSession(options: SocketSessionOptions): Session {
  const { transport } = options
  const reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  const intake = new Intake(
    transport,
    (slice) => {
      try {
        reader.push(slice, (number, item) => {
          if (number !== 0) throw new AuthorityError('E_PROTOCOL', `session ${number} on a socket that carries session 0 only`)
          session.receive(item)
        })
      } catch (error) {
        session.refuse(error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the socket failed', { cause: error }))
      }
    },
    () => session.onRoom(),
  )
  const session: Session = new Session({
    subject: options.subject,
    run: options.run,
    registry: options.registry,
    send: (message) => transport.write(encodeMessage(0, message)),
    room: () => intake.room,
    onEnd: () => {
      intake.stop()
      reader.stop()
      transport.close()
      options.onEnd()
    },
  })
  transport.onClose = () => void session.end()
  intake.start()
  return session
}
