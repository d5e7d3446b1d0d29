import { PatternError } from '../patterns/index.ts'

/** Bytes of a file name. */
const MAX_FILE_NAME = 255

/** An included file lies in the same folder: a bare name that ends in `.json` or `.toml`. Throws PatternError. */
export function checkIncludeName(name: string): void {
  if (/[/\\]/.test(name) || name === '.' || name === '..')
    throw new PatternError(`\`${name}\` is not in the same folder`, 'an included file lies beside this one: write its bare name')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\u0000-\u001f\u007f]/.test(name) || !/^[^.].*\.(json|toml)$/i.test(name) || new TextEncoder().encode(name).length > MAX_FILE_NAME)
    throw new PatternError(`\`${name}\` is not the name of a policy file`, 'write a name that ends in `.json` or `.toml`')
}
