/** What commands may use: config files and the forms of command line values. Pure; nothing here prints or reads a file. */
export { parseAuthorities } from './authorities.ts'
export { type Config, parseConfig } from './config.ts'
export { ConfigError, type Place } from './errors.ts'
export { MAX_AUTHORITIES } from './limits.ts'
export { checkMountOverlap, type MountArgument, parseEnvArgument, parseMount } from './mounts.ts'
export { nearest } from './nearest.ts'
export { parseResolver } from './resolver.ts'
export { parseCount, parseDollars, parseDuration, parseSize } from './units.ts'
