export { type DebianPackageSet, type DebianRoot, openDebian, type ResolvedPackage } from './debian.ts'
export { assumedInstalled, parsePrintUris } from './resolve.ts'
