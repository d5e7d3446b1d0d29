/** The byte ranges one owner has locked: disjoint and in order. Pure. */

export type LockKind = 'shared' | 'exclusive'
/** First and last byte, both included. */
export interface Range {
  readonly start: bigint
  readonly end: bigint
}
export interface Locked extends Range {
  readonly kind: LockKind
}

/** What is locked once `range` is of `kind`, or free with null: pieces beside it stay, neighbours of one kind become one, as Linux does it. */
export function lockedAfter(held: readonly Locked[], { start, end }: Range, kind: LockKind | null): Locked[] {
  const after: Locked[] = []
  const put = (one: Locked): void => {
    const last = after.at(-1)
    if (last !== undefined && last.kind === one.kind && last.end + 1n === one.start) after[after.length - 1] = { ...last, end: one.end }
    else after.push(one)
  }
  let placed = kind === null
  for (const one of held) {
    if (one.start < start) put(one.end < start ? one : { ...one, end: start - 1n })
    if (one.end <= end) continue
    if (kind !== null && !placed) put({ start, end, kind })
    placed = true
    put(one.start > end ? one : { ...one, start: end + 1n })
  }
  if (kind !== null && !placed) put({ start, end, kind })
  return after
}

/** Whether one of these keeps another owner from locking the range so. */
export function conflicts(held: readonly Locked[], { start, end }: Range, kind: LockKind): boolean {
  return held.some((one) => one.start <= end && one.end >= start && (one.kind === 'exclusive' || kind === 'exclusive'))
}
