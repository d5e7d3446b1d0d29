import { header } from './header.ts'
import { python } from './python.ts'

export interface Output {
  /** Relative to the root of the repository. */
  readonly path: string
  readonly text: string
  readonly state: 'fresh' | 'stale' | 'frozen'
}

/** Every generated file with its present state. `read` gives a file's text, or undefined when it is absent. */
export function outputs(read: (path: string) => string | undefined): readonly Output[] {
  const whole = (path: string, text: string): Output => ({ path, text, state: read(path) === text ? 'fresh' : 'stale' })
  return [whole('kernel/guest/init/protocol.h', header()), whole('sdks/python/src/authority/_protocol.py', python())]
}
