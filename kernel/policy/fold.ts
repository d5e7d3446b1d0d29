/** Characters that HFS+ leaves out when it compares names. */
const IGNORED = /[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]|[\ufe00-\ufe0f]/g

/** One form for all names a host file system may take for the same: compatibility of case, composition and invisible characters. */
export function fold(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII
  if (/^[\u0000-\u0040\u005b-\u007f]*$/.test(text)) return text
  return text.replace(IGNORED, '').normalize('NFD').toLowerCase().toUpperCase().toLowerCase().normalize('NFC')
}
