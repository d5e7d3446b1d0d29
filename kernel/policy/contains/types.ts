import type { Question } from '../../vocabulary/index.ts'

/** `yes` is proved. `no` comes with an effect, or a sentence, that shows it. `unknown`: neither was found within the limits. */
export type Containment =
  | { readonly contains: 'yes' }
  | { readonly contains: 'no'; readonly example: Question | null; readonly why: string }
  | { readonly contains: 'unknown'; readonly why: string }

export const YES: Containment = { contains: 'yes' }
