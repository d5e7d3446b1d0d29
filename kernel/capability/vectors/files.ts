import { malformedTokens } from './malformed.ts'
import { narrowings } from './narrowing.ts'
import { goodTokens } from './tokens.ts'

/** Where the vectors stand in the repository. */
export const VECTOR_FOLDER = 'fixtures/vectors/capability'

/** Name → text of every vector file. Nothing in them depends on time or chance. */
export function vectorFiles(): ReadonlyMap<string, string> {
  return new Map([
    [
      'tokens.json',
      file(
        'Genuine tokens. `run_key` is K_run; times are ms since the epoch; byte strings are hex. A gate of that run accepts each at `now`.',
        goodTokens(),
      ),
    ],
    [
      'narrowing.json',
      file(
        'What a holder computes offline. With `token`: attenuating `parent` by `restriction` (or sealing it) gives exactly this text. With `error`: attenuating by the JSON in `restriction_json` fails with that code and gives no token.',
        narrowings(),
      ),
    ],
    [
      'malformed.json',
      file(
        'Tokens a gate of the run of tokens.json refuses at `now` with `error`. `seen_by`: `format` = any parser refuses it, `contents` = any reader of payloads does, `gate` = it takes the key, the clock and the run.',
        malformedTokens(),
      ),
    ],
  ])
}

/** One vector per line, so that a difference shows the vector that changed. */
function file(about: string, vectors: readonly object[]): string {
  return `{\n"about": ${JSON.stringify(about)},\n"vectors": [\n${vectors.map((vector) => JSON.stringify(vector)).join(',\n')}\n]\n}\n`
}
