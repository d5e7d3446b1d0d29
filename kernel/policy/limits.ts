/** Every bound of a policy file. Each is checked before anything of that size is built. */

/** Bytes of a policy file. */
export const MAX_POLICY_BYTES = 4 * 1024 * 1024
/** Nesting of objects and lists, the outermost counting as 1. */
export const MAX_POLICY_DEPTH = 16
/** Values of all kinds in one file. */
export const MAX_POLICY_VALUES = 200_000
/** Rules of one list. */
export const MAX_LIST_RULES = 20_000
/** Names mapped to an address. */
export const MAX_HOSTS = 1024
/** Problems reported of one file; the rest are counted. */
export const MAX_PROBLEMS = 20
/** Characters of a policy's own text repeated in a message. */
export const MAX_QUOTED = 120
/** Characters of one message or suggestion. */
export const MAX_MESSAGE = 400
/** Fixes merged into one suggestion. */
export const MAX_FIXES = 10_000
