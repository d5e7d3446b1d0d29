import type { RunSpec } from '../run-spec.ts'

/** `-p` for the first record. */
export function publishedFacts({ published = [] }: Pick<RunSpec, 'published'>): { address: string; port: number; guest_port: number }[] {
  return published.map(({ address, port, guestPort }) => ({ address, port, guest_port: guestPort }))
}
