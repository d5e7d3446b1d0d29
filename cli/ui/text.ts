/** C0, DEL, C1, and what reorders or hides text: bidirectional and other format characters, separators, lone surrogates, private use. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu

/** Text from anywhere made fit for one line of a terminal: what could move its cursor, hide or reorder something is spelled out. */
export function safe(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/** As `safe`, for text of several lines. */
export function safeLines(text: string): string {
  return text.split('\n').map(safe).join('\n')
}

/** The beginning of a text, for one line. */
export function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}

/** `1 effect`, `2 effects`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

/** Digits of an id that people are shown and type. */
const SHORT_ID = 12

export function shortId(id: string): string {
  return id.slice(0, SHORT_ID)
}

/** Rows in columns two spaces apart; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  }
  return rows.map((row) => row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join('  '))
}
