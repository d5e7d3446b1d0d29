import type { Action } from '../vocabulary/index.ts'
import type { Grants } from './types.ts'

/** The sections of a block in the order of the encoded array. */
export const SECTIONS = [
  'fs.read',
  'fs.write',
  'net.dns',
  'net.connect',
  'net.listen',
  'tools',
  'infer',
] as const satisfies readonly Action[]

/**
 * Added after the first tokens were made: where it is there it is the last element of the payload, and no token without it changed. A gate that does not know
 * it refuses the token.
 */
export const ADDED_SECTION = 'fs.look' satisfies Action
export const ALL_SECTIONS: readonly Action[] = [ADDED_SECTION, ...SECTIONS]

/** Pattern lists by section; a section that is not there is absent, which is not the same as empty. */
export type Sections = ReadonlyMap<Action, readonly string[]>

export function sectionsOf(grants: Grants): Sections {
  const lists: [Action, readonly string[] | undefined][] = [
    ['fs.look', grants.fs?.look],
    ['fs.read', grants.fs?.read],
    ['fs.write', grants.fs?.write],
    ['net.dns', grants.net?.dns],
    ['net.connect', grants.net?.connect],
    ['net.listen', grants.net?.listen],
    ['tools', grants.tools],
    ['infer', grants.infer],
  ]
  return new Map(lists.filter((entry): entry is [Action, readonly string[]] => entry[1] !== undefined))
}

export function grantsOf(sections: Sections): Grants {
  return {
    fs: { ...pick(sections, 'fs.look', 'look'), ...pick(sections, 'fs.read', 'read'), ...pick(sections, 'fs.write', 'write') },
    net: { ...pick(sections, 'net.dns', 'dns'), ...pick(sections, 'net.connect', 'connect'), ...pick(sections, 'net.listen', 'listen') },
    ...pick(sections, 'tools', 'tools'),
    ...pick(sections, 'infer', 'infer'),
  }
}

function pick<Name extends string>(sections: Sections, action: Action, name: Name): { [key in Name]?: readonly string[] } {
  const list = sections.get(action)
  return list === undefined ? {} : ({ [name]: list } as { [key in Name]?: readonly string[] })
}
