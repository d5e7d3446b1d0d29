import { AuthorityError, encodeFuseFrame, LinkReader, MAX_FRAME_BYTES, MAX_MOUNTS, parseFuseItem } from '@authority/protocol'
import { Intake } from './intake.ts'
import type { Transport } from './transport.ts'

/** Whoever answers raw FUSE messages (effects/fs). */
export interface FuseHandler {
  /** Never throws. */
  handle(mount: number, message: Uint8Array): void
  close(): Promise<void>
}

export interface FuseLinkOptions {
  readonly transport: Transport
  /** Makes the handler; `send` takes one FUSE message for the guest. */
  readonly server: (send: (mount: number, message: Uint8Array) => void) => FuseHandler
  /** The guest broke the framing: nothing on this link is believed any more. */
  readonly onFault: (error: AuthorityError) => void
}

/** The link of host mounts: frames whose session is the mount's number and whose item is one FUSE message. */
export class FuseLink {
  private readonly handler: FuseHandler
  private readonly reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  private readonly intake: Intake
  private readonly onFault: (error: AuthorityError) => void
  private over = false

  constructor(options: FuseLinkOptions) {
    const { transport } = options
    this.onFault = options.onFault
    this.handler = options.server((mount, message) => transport.write(encodeFuseFrame(linkNumberOf(mount), message)))
    transport.onClose = () => void this.close().catch(() => undefined)
    // Answers the guest does not take stop its questions.
    this.intake = new Intake(transport, (slice) => this.onSlice(slice))
    this.intake.start()
  }

  async close(): Promise<void> {
    if (this.over) return
    this.over = true
    this.intake.stop()
    this.reader.stop()
    await this.handler.close()
  }

  private onSlice(slice: Uint8Array): void {
    try {
      this.reader.push(slice, (mount, item) => {
        if (mount < 1 || mount > MAX_MOUNTS) throw new AuthorityError('E_PROTOCOL', `FUSE link: mount ${mount} does not exist`)
        this.handler.handle(mount - 1, parseFuseItem(item))
      })
    } catch (error) {
      void this.close().catch(() => undefined)
      this.onFault(error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the FUSE link failed', { cause: error }))
    }
  }
}

/** Mounts are numbered from 0 here and from 1 on the link, where session 0 is the link's own. */
export function linkNumberOf(mount: number): number {
  return mount + 1
}
