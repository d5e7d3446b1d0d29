/** What was built from what; apart from the other assets because `authority version` must not load those. */
import buildInfo from './generated/build-info.txt' with { type: 'text' }

export interface BuildInfo {
  readonly version: string
  readonly commit: string
  readonly bun: string
  readonly arch: 'x86_64' | 'aarch64'
}

export const build: BuildInfo = JSON.parse(buildInfo) as BuildInfo
