/** A pattern the grammar refuses. `suggestion` is a sentence that names what to write instead, where there is one. */
export class PatternError extends Error {
  readonly suggestion: string | null

  constructor(message: string, suggestion: string | null = null) {
    super(message)
    this.name = 'PatternError'
    this.suggestion = suggestion
  }
}
