/** Every bound of the pattern grammar. Each is checked before anything of that size is built. */

/** Bytes of one pattern as written: room for a PATH_MAX path with each character escaped as a class of one. */
export const MAX_PATTERN_BYTES = 16 * 1024
/** Alternatives one pattern may expand to through `{a,b}`; counted before expansion. */
export const MAX_ALTERNATIVES = 64
/** Code points all alternatives of one pattern may have together; counted before expansion. */
export const MAX_EXPANDED_LENGTH = 64 * 1024
/** Ranges inside one `[…]`. */
export const MAX_CLASS_RANGES = 128
/** `**` segments in one alternative. */
export const MAX_GLOBSTARS = 8
/** Rules of one list: those a policy allows and asks about, with its profiles and mapped names, make one list of a run's own capability. */
export const MAX_RULES = 65_536
/** Bytes of all patterns of one rule set together. */
export const MAX_RULES_BYTES = 8 * 1024 * 1024
/** Bytes of a tool or model name. */
export const MAX_NAME_PATTERN_BYTES = 256
