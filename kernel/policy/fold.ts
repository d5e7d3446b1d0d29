/** Characters a file system may leave out when it compares names: HFS+ some of them, Linux (casefold) every one that Unicode says may be ignored. */
const IGNORED = /\p{Default_Ignorable_Code_Point}/gu

/** One form for all names a host file system may take for the same: compatibility of case, composition and invisible characters. */
export function fold(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII
  if (/^[\u0000-\u0040\u005b-\u007f]*$/.test(text)) return text
  const lower = text.replace(IGNORED, '').normalize('NFD').toLowerCase().toUpperCase().toLowerCase().normalize('NFC')
  // Lower case of a sigma depends on what stands beside it, which in a pattern is not what stands beside it in the name.
  return lower.replaceAll('ς', 'σ')
}
