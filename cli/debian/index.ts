export {
  type AptRoot,
  type DebianArch,
  type DebianPackage,
  hostSources,
  type OnProgress,
  openAptRoot,
  type Progress,
  unpackDeb,
} from './apt.ts'
export { type DebianPackageSet, type DebianRoot, openDebian, openFreshApt, type ResolvedPackage } from './debian.ts'
export { assumedInstalled, parsePrintUris } from './resolve.ts'
