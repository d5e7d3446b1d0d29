import { basename } from 'node:path'
import { ImageError } from './errors.ts'
import { MAX_NAME_BYTES } from './limits.ts'

/** Names of images: no slash (`run NAME` is always an image), no leading dot or dash, no extension (`run x.py` is always a program). */
const NAME = /^[a-z0-9][a-z0-9_-]*$/

export function isImageName(name: string): boolean {
  return NAME.test(name) && name.length <= MAX_NAME_BYTES
}

export function checkImageName(name: string): string {
  if (!isImageName(name))
    throw new ImageError('bad-input', `${JSON.stringify(name)} cannot name an image`, {
      hint: `use up to ${MAX_NAME_BYTES} lower-case letters, digits, - and _, for example -n ${nameFrom(name) ?? 'myapp'}`,
    })
  return name
}

/** The name `build PATH` gives: the basename without a program's extension, in lower case, other characters as dashes. */
export function imageNameOf(path: string): string {
  const name = nameFrom(basename(path))
  if (name === undefined)
    throw new ImageError('bad-input', `no image name can be made from ${JSON.stringify(path)}`, { hint: 'give one with -n NAME' })
  return name
}

function nameFrom(text: string): string | undefined {
  const name = text
    .replace(/\.(py|ts|mts|js|mjs)$/i, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|[-_]+$/g, '')
    .slice(0, MAX_NAME_BYTES)
  return name === '' ? undefined : name
}
