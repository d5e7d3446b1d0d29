import { checkMountOverlap, parseMount } from '../config/index.ts'
import type { RunSpec } from '../runs/run-spec.ts'

/** `-v HOST:GUEST[:ro]`, as many as there are. Throws ConfigError. */
export function mountsOf(given: readonly string[], cwd: string): RunSpec['mounts'] {
  const mounts = given.map((text) => parseMount(text, cwd))
  checkMountOverlap(mounts)
  return mounts
}
