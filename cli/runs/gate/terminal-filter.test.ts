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
test('a lone C1 byte, which a terminal of eight bits would obey, is shown', () => expect(shown('a', [0x9b], '31m')).toBe('a\\x9b31m'))
test('one after a character cut short is shown too', () => expect(shown([0xe2, 0x41, 0x9b])).toContain('A\\x9b'))
test('longer characters pass, also one byte at a time', () => {
  for (const text of ['€', '😀', 'Ā', 'ǧ日本']) expect(shown(...[...Buffer.from(text)].map((byte) => [byte]))).toBe(text)
})
test('no control byte gets through, whatever surrounds it', () => {
  const bytes = Array.from({ length: 20_000 }, (_, i) => (Math.imul(i + 7, 2_654_435_761) >>> 13) & 255)
  const filter = new TerminalFilter()
  const text = Buffer.from(filter.pass(Uint8Array.from(bytes))).toString('utf8')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  expect(text).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/)
})
