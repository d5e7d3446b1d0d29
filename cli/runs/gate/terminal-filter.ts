const ESC = 0x1b
const DEL = 0x7f
const C2 = 0xc2
const ALLOWED = new Set([0x09 /* tab */, 0x0a /* line feed */, 0x0d /* carriage return */])

/**
 * Makes an agent's bytes safe for a person's terminal: C0, DEL and C1 control characters other than tab, line feed and carriage return are shown as ^X or
 * \u0080-style text, so that output cannot move the cursor, retitle the window, answer for the user or hide what was printed. A C1 byte outside of any UTF-8
 * sequence is one to a terminal of eight bits, and is shown as \x9b. State between chunks: the character under way.
 */
export class TerminalFilter {
  private heldC2 = false
  /** Bytes still missing of a longer character. */
  private missing = 0

  pass(chunk: Uint8Array): Uint8Array {
    const out: number[] = []
    for (const byte of chunk) {
      if (this.heldC2) {
        this.heldC2 = false
        // U+0080…U+009F are controls too (0x9b is CSI); anything else after 0xc2 is ordinary text.
        if (byte >= 0x80 && byte <= 0x9f) {
          push(out, `\\u00${byte.toString(16)}`)
          continue
        }
        out.push(C2)
        this.missing = 1
      }
      if (byte >= 0x80 && byte <= 0xbf) this.continuation(out, byte)
      else this.first(out, byte)
    }
    return Uint8Array.from(out)
  }

  private first(out: number[], byte: number): void {
    this.missing = byte < C2 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : byte < 0xf5 ? 3 : 0
    if (byte === C2) this.heldC2 = true
    else if (byte === ESC) push(out, '^[')
    else if (byte === DEL) push(out, '^?')
    else if (byte < 0x20 && !ALLOWED.has(byte)) push(out, `^${String.fromCharCode(byte + 0x40)}`)
    else out.push(byte)
  }

  private continuation(out: number[], byte: number): void {
    if (this.missing > 0) {
      this.missing -= 1
      out.push(byte)
    } else if (byte <= 0x9f) push(out, `\\x${byte.toString(16)}`)
    else out.push(byte)
  }
}

function push(out: number[], text: string): void {
  for (let i = 0; i < text.length; i++) out.push(text.charCodeAt(i))
}
