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

/** In their order in a payload. */
export const IN_PAYLOAD: readonly Action[] = [...SECTIONS, ADDED_SECTION]

/** Where each stands in IN_PAYLOAD. */
export const PLACE_IN_PAYLOAD: Readonly<Record<Action, number>> = {
  'fs.read': 0,
  'fs.write': 1,
  'net.dns': 2,
  'net.connect': 3,
  'net.listen': 4,
  tools: 5,
  infer: 6,
  'fs.look': 7,
}

/** Pattern lists by section; a section that is not there is absent, which is not the same as empty. */
export interface Sections {
  /** How many are there. */
  readonly size: number
  has(action: Action): boolean
  get(action: Action): readonly string[] | undefined
}

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
  const grants: { fs?: Lists<'look' | 'read' | 'write'>; net?: Lists<'dns' | 'connect' | 'listen'> } & Lists<'tools' | 'infer'> = {}
  for (const action of IN_PAYLOAD) {
    const list = sections.get(action)
    if (list === undefined) continue
    switch (action) {
      case 'fs.look':
        grants.fs ??= {}
        grants.fs.look = list
        break
      case 'fs.read':
        grants.fs ??= {}
        grants.fs.read = list
        break
      case 'fs.write':
        grants.fs ??= {}
        grants.fs.write = list
        break
      case 'net.dns':
        grants.net ??= {}
        grants.net.dns = list
        break
      case 'net.connect':
        grants.net ??= {}
        grants.net.connect = list
        break
      case 'net.listen':
        grants.net ??= {}
        grants.net.listen = list
        break
      case 'tools':
        grants.tools = list
        break
      case 'infer':
        grants.infer = list
    }
  }
  return grants
}

type Lists<Name extends string> = { [name in Name]?: readonly string[] }
