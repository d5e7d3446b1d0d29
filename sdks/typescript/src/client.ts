import { readFileSync, statSync } from 'node:fs'
import { MAX_TOKEN_BYTES, type OperationName, type WireValue } from '@authority/protocol'
import { Budget } from './budget.ts'
import { Connection } from './connection.ts'
import { invalid } from './errors.ts'
import { Files } from './fs.ts'
import { CONNECT_TIMEOUT_MS, DEFAULT_SOCKET, DEFAULT_TIMEOUT_MS, MAX_TOKEN_FILE_BYTES } from './limits.ts'
import { Net } from './net.ts'
import { Scope } from './scope.ts'
import { attenuate, type Restriction } from './token/index.ts'
import { type CallOptions, limitOf } from './wait.ts'

export interface ConnectOptions {
  /** Path of the gate's socket; default AUTHORITY_SOCKET, else /run/authority/gate.sock. */
  readonly socket?: string | undefined
  /** Capability to act under; default the content of the file AUTHORITY_TOKEN_FILE names, else the run's own. `null`: the run's own. */
  readonly token?: string | null | undefined
  /** ms each call waits when it does not say otherwise; default 60,000. */
  readonly timeoutMs?: number | undefined
  /** ms to be connected and welcomed; default 10,000. */
  readonly connectTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Connects to the gate. Throws ConnectionLost, CapabilityError for a token that does not hold, E_TIMEOUT. */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const socket = options.socket ?? (process.env.AUTHORITY_SOCKET || DEFAULT_SOCKET)
  const token = options.token === undefined ? tokenOfEnvironment() : options.token
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  limitOf({ timeoutMs }, timeoutMs)
  const limit = limitOf({ timeoutMs: options.connectTimeoutMs, signal: options.signal }, CONNECT_TIMEOUT_MS)
  return new Client(await Connection.open({ socket, token, timeoutMs }, limit), { handle: 0, token })
}

/** A session with the gate, or a view of one that acts under another capability (`bind`). */
export class Client {
  readonly fs: Files
  readonly net: Net
  readonly budget: Budget
  readonly #connection: Connection
  readonly #scope: Scope
  readonly #token: string | null
  #released = false

  /** @internal Use `connect`. */
  constructor(connection: Connection, acting: { readonly handle: number; readonly token: string | null }) {
    this.#connection = connection
    this.#scope = new Scope(connection, acting.handle)
    this.#token = acting.token
    this.fs = new Files(this.#scope)
    this.net = new Net(this.#scope)
    this.budget = new Budget(this.#scope)
  }

  /** Id of the run. */
  get run(): string {
    return this.#connection.run
  }

  /** Proves that the gate answers; performs nothing. */
  async ping(options?: CallOptions): Promise<void> {
    await this.#scope.call('session.ping', [new Uint8Array(0)], options)
  }

  /** Any operation of SPEC.md by name, with its positional arguments: for what this client has no method for. */
  call(operation: OperationName, args: readonly WireValue[], options?: CallOptions): Promise<readonly WireValue[]> {
    return this.#scope.call(operation, args, options)
  }

  /** The token this client acts under; the run's own is asked for. */
  async token(options?: CallOptions): Promise<string> {
    if (this.#token !== null) return this.#token
    const [token] = (await this.#scope.call('cap.self', [], options)) as readonly [string]
    return token
  }

  /** A token that allows only what both this client's token and `restriction` allow, computed here. Hand it on, or `bind` it. */
  async attenuate(restriction: Restriction, options?: CallOptions): Promise<string> {
    return attenuate(await this.token(options), restriction)
  }

  /** A view of this session that acts under `token`. Closing it gives the handle up; the session goes on. */
  async bind(token: string, options?: CallOptions): Promise<Client> {
    const [handle] = (await this.#scope.call('cap.bind', [token], options)) as readonly [number]
    return new Client(this.#connection, { handle, token })
  }

  /** Ends the session; of a view, releases its capability. Calls under way fail with E_CANCELLED. Never throws. */
  async close(): Promise<void> {
    if (this.#scope.handle === 0) return this.#connection.close()
    if (this.#released) return
    this.#released = true
    const limit = limitOf(undefined, this.#connection.timeoutMs)
    await this.#connection.call('cap.release', [this.#scope.handle], 0, limit).catch(() => undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Tokens travel in files: a command line or an environment is for everyone to read. */
function tokenOfEnvironment(): string | null {
  const path = process.env.AUTHORITY_TOKEN_FILE
  if (path === undefined || path === '') return null
  try {
    if (statSync(path).size <= MAX_TOKEN_FILE_BYTES) {
      const token = readFileSync(path, 'utf8').trim()
      if (token.length <= MAX_TOKEN_BYTES) return token
    }
  } catch (cause) {
    throw invalid(`AUTHORITY_TOKEN_FILE: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code ?? cause})`)
  }
  throw invalid(`AUTHORITY_TOKEN_FILE: ${path} is too long to hold a token`)
}
