/** Packages one layer may consist of. */
export const MAX_PACKAGES = 500
/** Bytes all packages of a layer may have to download. */
export const MAX_DOWNLOAD_BYTES = 1024 * 1024 * 1024
/** ms after which package lists are fetched again when something has to be resolved anew; a mirror that does not answer then is no error. */
export const LISTS_MAX_AGE_MS = 7 * 24 * 3600 * 1000
/** ms for resolving a set of packages. */
export const RESOLVE_DEADLINE_MS = 120_000
/** ms for downloading a set of packages: a slow line needs minutes. */
export const DOWNLOAD_DEADLINE_MS = 15 * 60_000
/** ms for unpacking one package. */
export const UNPACK_DEADLINE_MS = 120_000
/** ms for one apt-get call: a slow line needs minutes for 30 MB. */
export const APT_DEADLINE_MS = 15 * 60_000
