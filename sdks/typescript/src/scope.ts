import type { OperationName, WireValue } from '@authority/protocol'
import type { Connection, OpenedStream } from './connection.ts'
import { type CallOptions, limitOf } from './wait.ts'

/** A connection and the capability its calls act under: what `fs`, `net` and `budget` speak through. */
export class Scope {
  readonly connection: Connection
  /** 0 is what the session said hello with. */
  readonly handle: number

  constructor(connection: Connection, handle: number) {
    this.connection = connection
    this.handle = handle
  }

  async call(operation: OperationName, args: readonly WireValue[], options: CallOptions | undefined): Promise<readonly WireValue[]> {
    return this.connection.call(operation, args, this.handle, limitOf(options, this.connection.timeoutMs))
  }

  async open(operation: OperationName, args: readonly WireValue[], options: CallOptions | undefined): Promise<OpenedStream> {
    return this.connection.open(operation, args, this.handle, limitOf(options, this.connection.timeoutMs))
  }
}
