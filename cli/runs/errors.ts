/** Failures of the command line and its libraries: what went wrong, why, what to do next, and the exit code of DESIGN 5. */
export type CliErrorCode =
  | 'usage'
  | 'not_found'
  | 'not_executable'
  | 'wrong_architecture'
  | 'config'
  | 'policy'
  | 'mount'
  | 'home'
  | 'image'
  | 'machine'
  | 'kernel'
  | 'gate'
  | 'io'
  | 'internal'

const EXIT_OF: Readonly<Record<CliErrorCode, number>> = {
  usage: 64,
  not_found: 127,
  not_executable: 126,
  wrong_architecture: 126,
  config: 64,
  policy: 64,
  mount: 64,
  home: 125,
  image: 125,
  machine: 125,
  kernel: 125,
  gate: 125,
  io: 125,
  internal: 70,
}

export class CliError extends Error {
  readonly code: CliErrorCode
  readonly hint: string
  readonly exitCode: number

  constructor(code: CliErrorCode, message: string, hint: string, options: { cause?: unknown; exitCode?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliError'
    this.code = code
    this.hint = hint
    this.exitCode = options.exitCode ?? EXIT_OF[code]
  }
}
