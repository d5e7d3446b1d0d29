/** A parsed policy file before its meaning is known: JSON and TOML both become this. `at` is an index into the text, for messages. */
export interface Member {
  readonly key: string
  readonly at: number
  readonly value: Node
}

export type Node =
  | { readonly kind: 'object'; readonly at: number; readonly members: readonly Member[] }
  | { readonly kind: 'list'; readonly at: number; readonly items: readonly Node[] }
  | { readonly kind: 'string'; readonly at: number; readonly value: string }
  /** `text` as written, so that `1.0` and `1e3` can be told from integers. */
  | { readonly kind: 'number'; readonly at: number; readonly text: string }
  | { readonly kind: 'boolean'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'null'; readonly at: number }
  /** What only TOML has. */
  | { readonly kind: 'date'; readonly at: number }

/** RFC 6901. */
export function pointerTo(parent: string, key: string | number): string {
  if (typeof key === 'number') return `${parent}/${key}`
  return `${parent}/${key.replace(/~/g, '~0').replace(/\//g, '~1')}`
}
