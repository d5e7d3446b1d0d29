/**
 * Where each value of a valid TOML text begins: JSON pointer → index, `key:POINTER` → index of its key, `end:POINTER` → index after it.
 * For messages, and for changes that are read again: a wrong or missing place never changes what a policy means. Every step moves forward, so it ends.
 */
import { MAX_POLICY_DEPTH, MAX_POLICY_VALUES } from './limits.ts'
import { pointerTo } from './tree.ts'

/** A value has at most three; a file with more than MAX_POLICY_VALUES is refused at the first too many. */
const MAX_PLACES = 3 * (MAX_POLICY_VALUES + 1)

export function locateToml(text: string): ReadonlyMap<string, number> {
  const places = new Map<string, number>()
  const listLengths = new Map<string, number>()
  let at = 0
  let table = ''

  while (at < text.length && places.size < MAX_PLACES) {
    skipBlank()
    if (at >= text.length) break
    if (text[at] === '[') header()
    else keyValue(table)
  }
  return places

  function header(): void {
    const start = at
    const many = text.startsWith('[[', at)
    at += many ? 2 : 1
    const keys = keyPath()
    const pointer = keys.reduce((parent, { key }) => {
      const below = pointerTo(parent, key)
      const length = listLengths.get(below)
      return length === undefined || (many && key === keys.at(-1)?.key) ? below : pointerTo(below, length - 1)
    }, '')
    note(pointer, keys[0]?.at ?? start)
    table = pointer
    if (many) {
      const index = listLengths.get(pointer) ?? 0
      listLengths.set(pointer, index + 1)
      table = pointerTo(pointer, index)
      note(table, start)
    }
    endOfLine()
  }

  function keyValue(parent: string): void {
    const keys = keyPath()
    let pointer = parent
    for (const { key, at: keyAt } of keys) {
      pointer = pointerTo(pointer, key)
      if (!places.has(`key:${pointer}`)) places.set(`key:${pointer}`, keyAt)
      note(pointer, keyAt)
    }
    if (text[at] === '=') at++
    skipSpace()
    places.set(pointer, at)
    value(pointer)
  }

  function value(pointer: string): void {
    anyValue(pointer)
    places.set(`end:${pointer}`, at)
  }

  function anyValue(pointer: string): void {
    const char = text[at]
    if (char === '"' || char === "'") string()
    else if (char === '[') {
      at++
      for (let index = 0; ; index++) {
        skipBlank()
        if (at >= text.length || text[at] === ']' || places.size >= MAX_PLACES) break
        const item = pointerTo(pointer, index)
        note(item, at)
        const before = at
        value(item)
        skipBlank()
        if (text[at] === ',') at++
        if (at === before) at++
      }
      at++
    } else if (char === '{') {
      at++
      for (;;) {
        skipBlank()
        if (at >= text.length || text[at] === '}') break
        const before = at
        keyValue(pointer)
        skipBlank()
        if (text[at] === ',') at++
        if (at === before) at++
      }
      at++
    } else while (at < text.length && !/[,\]}#\n]/.test(text[at] ?? '')) at++
  }

  function string(): void {
    const quote = text[at] ?? ''
    const end = text.startsWith(quote.repeat(3), at) ? quote.repeat(3) : quote
    at += end.length
    while (at < text.length && !text.startsWith(end, at)) at += quote === '"' && text[at] === '\\' ? 2 : 1
    at += end.length
    // `""""` ends a multi-line string that ends with a quote.
    while (end.length === 3 && text[at] === quote) at++
  }

  function keyPath(): { key: string; at: number }[] {
    const keys: { key: string; at: number }[] = []
    // A dotted key may be as deep as the file is long, and each pointer is as long as its depth: what is too deep anyway has no place of its own.
    const push = (key: string, start: number): void => {
      if (keys.length <= MAX_POLICY_DEPTH) keys.push({ key, at: start })
    }
    for (;;) {
      skipSpace()
      const start = at
      if (text[at] === '"' || text[at] === "'") {
        string()
        push(text.slice(start + 1, at - 1), start)
      } else {
        while (at < text.length && /[A-Za-z0-9_-]/.test(text[at] ?? '')) at++
        if (at === start) at++
        push(text.slice(start, at), start)
      }
      skipSpace()
      if (text[at] !== '.') return keys
      at++
    }
  }

  function note(pointer: string, index: number): void {
    if (!places.has(pointer)) places.set(pointer, index)
  }

  function skipSpace(): void {
    while (text[at] === ' ' || text[at] === '\t') at++
  }

  function skipBlank(): void {
    for (;;) {
      while (/\s/.test(text[at] ?? '')) at++
      if (text[at] !== '#') return
      endOfLine()
    }
  }

  function endOfLine(): void {
    const end = text.indexOf('\n', at)
    at = end === -1 ? text.length : end + 1
  }
}
