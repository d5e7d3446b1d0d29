/** States of two path automata together that are looked at before the answer is `unknown`. */
export const MAX_EXPLORED = 20_000
/** States of the texts of one argument, calls of one tool, and members of a list that are looked at before the answer is `unknown`. */
export const MAX_TEXT_STATES = 10_000
export const MAX_CALLS = 20_000
export const MAX_LIST_LENGTH = 4096
/** Effects decided one by one for names, ports and addresses. */
export const MAX_CANDIDATES = 100_000
/** Rules for the environment and mounts of both policies together. */
export const MAX_SURROUNDING_RULES = 400
