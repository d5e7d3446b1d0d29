/**
 * Which attributes of a file the guest may believe. Whoever gets a lock on it must not go on with what is old; most often nothing changed since, and then nobody
 * needs to ask. A file that others changed has another version: size and times tell, as with NFS.
 */
import type { Stat, Time } from '../syscalls.ts'
import type { Node } from './nodes.ts'

/** Attributes go to the guest. Answers may overtake each other there: after two different ones it may believe either. */
export function tell(node: Node, stat: Stat): void {
  const version = versionOf(stat)
  if (node.told !== null && node.told !== version) node.toldOthers = true
  node.told = version
}

/** The guest wrote, which ends its own belief. */
export function wrote(node: Node): void {
  node.told = null
  node.toldOthers = false
}

export function mayBelieveOld(node: Node, now: Stat): boolean {
  return node.told !== null && (node.toldOthers || node.told !== versionOf(now))
}

/** The guest has looked again, and was told what is there now. */
export function lookedAgain(node: Node, now: Stat): void {
  if (node.told === versionOf(now)) node.toldOthers = false
}

const versionOf = ({ size, mtime, ctime }: Stat): string => `${size} ${timeOf(mtime)} ${timeOf(ctime)}`
const timeOf = ({ s, ns }: Time): string => `${s}.${ns}`
