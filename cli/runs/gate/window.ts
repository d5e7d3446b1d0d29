/** Greatest number of rows or columns a terminal can have (struct winsize). */
const MAX_CELLS = 65_535

export interface WindowSize {
  readonly rows: number
  readonly cols: number
}

/** Size of the terminal our stdout is; 0 × 0, which programs read as unknown, where it is none. */
export function windowSize(): WindowSize {
  if (process.stdout.isTTY !== true) return { rows: 0, cols: 0 }
  const [cols, rows] = process.stdout.getWindowSize()
  return { rows: cells(rows), cols: cells(cols) }
}

/** Calls back after every change of size, until the returned function is called. */
export function onWindowChange(call: (size: WindowSize) => void): () => void {
  const changed = (): void => call(windowSize())
  process.on('SIGWINCH', changed)
  return () => process.off('SIGWINCH', changed)
}

function cells(count: number): number {
  return Number.isInteger(count) && count > 0 ? Math.min(count, MAX_CELLS) : 0
}
