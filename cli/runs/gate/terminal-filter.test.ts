import { expect, test } from 'vitest'
import { TerminalFilter } from './terminal-filter.ts'

const shown = (...chunks: (string | number[])[]): string => {
  const filter = new TerminalFilter()
  return Buffer.concat(
    chunks.map((chunk) => filter.pass(typeof chunk === 'string' ? Buffer.from(chunk) : Uint8Array.from(chunk))),
  ).toString()
}

test('text, tabs and line ends pass unchanged', () => expect(shown('größe\t1\r\n')).toBe('größe\t1\r\n'))
test('an escape sequence is shown, not obeyed', () => expect(shown('\x1b[2J\x1b]0;title\x07')).toBe('^[[2J^[]0;title^G'))
test('the one-byte CSI in UTF-8 is shown', () => expect(shown('a\u009b31mb')).toBe('a\\u009b31mb'))
test('a control character split over two chunks is still caught', () => expect(shown([0xc2], [0x9b], 'x')).toBe('\\u009bx'))
test('an ordinary character split after 0xc2 survives', () => expect(shown([0xc2], [0xa7])).toBe('§'))
test('delete and backspace are shown', () => expect(shown('a\x7f\b')).toBe('a^?^H'))
