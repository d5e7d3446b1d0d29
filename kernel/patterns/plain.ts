/** Patterns that can be told by a glance at their bytes. What is not plain may be a pattern all the same, and is compiled to know. */
import type { Action, Question } from '../vocabulary/index.ts'
import { MAX_NAME_PATTERN_BYTES } from './limits.ts'
import { pathSegments } from './path-glob.ts'

/** A plain path is shorter than any limit of a path or a name in it. */
const MAX_PLAIN_PATH_BYTES = 255
const SLASH = 0x2f
const DOT = 0x2e
const STAR = 0x2a
/** Letters, digits, `_` and `-`: may stand anywhere in a name of a path. */
const PLAIN = tableOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-')
/** What a tool or model may begin with, and what it may hold. */
const NAME_FIRST = tableOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
const NAME_REST = tableOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@+-')

/** Literal paths and whole trees of plain names, and the names of tools and models: told and asked without making a text of them. */
export const plainPatterns = {
  isPattern: (action: Action, bytes: Uint8Array, from: number, to: number): boolean => {
    if (isOfPaths(action)) return isPlainPath(bytes, from, withoutTree(bytes, from, to))
    return isOfNames(action) && isPlainName(bytes, from, to)
  },
  /** Looking is allowed by what may be read and written too, and names of hosts are not decided here. */
  decides: (action: Action): boolean => action === 'fs.read' || action === 'fs.write' || isOfNames(action),
  allows: ({ action, object }: Question, bytes: Uint8Array, from: number, to: number): boolean => {
    if (isOfNames(action)) return object.length === to - from && beginsWith(object, bytes, from, to)
    const base = withoutTree(bytes, from, to)
    if (base === to ? object.length !== to - from : !isWithin(object, base - from)) return false
    return beginsWith(object, bytes, from, base) && isCanonical(object)
  },
}

/** The last object that was: every block of a token is asked about the same one. */
let canonical = ''

function isCanonical(object: string): boolean {
  if (object === canonical) return true
  if (!isPlainText(object) && pathSegments(object) === null) return false
  canonical = object
  return true
}

function isOfPaths(action: Action): boolean {
  return action === 'fs.read' || action === 'fs.write' || action === 'fs.look'
}

function isOfNames(action: Action): boolean {
  return action === 'tools' || action === 'infer'
}

/** The tree itself, or something below it. */
function isWithin(path: string, length: number): boolean {
  return path.length === length || path.charCodeAt(length) === SLASH
}

function beginsWith(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (text.charCodeAt(i - from) !== bytes[i]) return false
  return true
}

/** `/work/**` ends before its last slash. */
function withoutTree(bytes: Uint8Array, from: number, to: number): number {
  return to - from > 3 && bytes[to - 1] === STAR && bytes[to - 2] === STAR && bytes[to - 3] === SLASH ? to - 3 : to
}

/** Slashes, each followed by a name that begins with no dot. */
function isPlainPath(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from > MAX_PLAIN_PATH_BYTES || bytes[from] !== SLASH) return false
  let begins = true
  for (let i = from + 1; i < to; i++) {
    const byte = bytes[i] as number
    if (PLAIN[byte] === 1) begins = false
    else if (begins || (byte !== DOT && byte !== SLASH)) return false
    else begins = byte === SLASH
  }
  return !begins
}

/** As isPlainPath, of a text: such a path is canonical. */
function isPlainText(path: string): boolean {
  if (path.length > MAX_PLAIN_PATH_BYTES || path.charCodeAt(0) !== SLASH) return false
  let begins = true
  for (let i = 1; i < path.length; i++) {
    const unit = path.charCodeAt(i)
    if (PLAIN[unit] === 1) begins = false
    else if (begins || (unit !== DOT && unit !== SLASH)) return false
    else begins = unit === SLASH
  }
  return !begins
}

function isPlainName(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from > MAX_NAME_PATTERN_BYTES || to <= from || NAME_FIRST[bytes[from] as number] !== 1) return false
  for (let i = from + 1; i < to; i++) if (NAME_REST[bytes[i] as number] !== 1) return false
  return true
}

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256)
  for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = 1
  return table
}
