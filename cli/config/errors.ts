import { AuthorityError } from '@authority/protocol'

/** A place in a file; line and column count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Something the user wrote is not acceptable: in a config file (with its place) or on the command line (without). Commands exit with 64. */
export class ConfigError extends AuthorityError {
  readonly place: Place | undefined

  constructor(place: Place | undefined, what: string, hint?: string) {
    super(
      'E_CONFLICT',
      place === undefined ? what : `${place.file}:${place.line}:${place.column}: ${what}`,
      hint === undefined ? {} : { hint },
    )
    this.name = 'ConfigError'
    this.place = place
  }
}
