import { readFileSync } from 'node:fs'

/** Clock ticks per second in /proc/PID/stat: USER_HZ, which Linux shows as 100 on every architecture. */
const USER_HZ = 100

/** CPU time in ms of a process and its living descendants, as the host's kernel counts it: nothing the guest says. Null where it cannot be read. */
export function machineCpuMs(pid: number): number | null {
  try {
    return (treeTicks(pid, 0) * 1000) / USER_HZ
  } catch {
    return null
  }
}

/** The cell is two or three processes deep; the bound stops a surprise. */
const MAX_DEPTH = 4

function treeTicks(pid: number, depth: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  let ticks = Number(fields[11]) + Number(fields[12])
  if (depth < MAX_DEPTH) for (const child of childrenOf(pid)) ticks += treeTicks(child, depth + 1)
  return ticks
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
