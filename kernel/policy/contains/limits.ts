/** States of two path automata together that are looked at before the answer is `unknown`. */
export const MAX_EXPLORED = 20_000
/** Effects decided one by one for names, ports and addresses. */
export const MAX_CANDIDATES = 100_000
