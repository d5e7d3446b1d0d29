/** Every bound of a policy file. Each is checked before anything of that size is built. */

/** Bytes of a policy file. */
export const MAX_POLICY_BYTES = 4 * 1024 * 1024
/** Nesting of objects and lists, the outermost counting as 1. */
export const MAX_POLICY_DEPTH = 16
/** Values of all kinds in one file. */
export const MAX_POLICY_VALUES = 200_000
/** Characters of the places of all values of a TOML file, as JSON pointers. */
export const MAX_POINTERS = 32 * 1024 * 1024
/** Rules of one list, over all files. */
export const MAX_LIST_RULES = 20_000
/** Alternatives in braces of all paths of a file together. */
export const MAX_ALL_ALTERNATIVES = 100_000
/** Names mapped to an address. */
export const MAX_HOSTS = 1024
/** Rules for addresses that mapped names and the rules for them make together. */
export const MAX_MAPPED_RULES = 20_000
/** Problems reported of one file; the rest are counted. */
export const MAX_PROBLEMS = 20
/** Characters of a policy's own text repeated in a message. */
export const MAX_QUOTED = 120
/** Characters of one message or suggestion. */
export const MAX_MESSAGE = 400
/** Fixes merged into one suggestion. */
export const MAX_FIXES = 10_000
/** Conditions of one tool rule. */
export const MAX_CONDITIONS = 32
/** Values in one `in`. */
export const MAX_CONDITION_VALUES = 256
/** Files one policy may consist of, and how deep they may include each other. */
export const MAX_INCLUDED_FILES = 64
export const MAX_INCLUDE_DEPTH = 8
/** ms a request for approval waits when the policy does not say, and at most. */
export const DEFAULT_ASK_TIMEOUT_MS = 120_000
export const MAX_ASK_TIMEOUT_MS = 24 * 60 * 60 * 1000
/** Expected verdicts in one file of `policy test`. */
export const MAX_CASES = 10_000
/** Distinct needs one run teaches. */
export const MAX_NEEDS = 10_000
/** Rules that `policy diff` compares in its searches for an effect, the other policy's for each. */
export const MAX_DIFF_WORK = 40_000
