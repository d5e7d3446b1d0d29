import type { Field } from '../schema.ts'

/** What one effect is (SPEC.md): see operations.ts. */
export type EffectClassName = 'change' | 'bytes' | 'look' | 'control'
export type Via = 'session' | 'fuse' | 'init' | 'operator'

/** The sections of a policy and of a capability that can grant something. */
export type Action = 'fs.look' | 'fs.read' | 'fs.write' | 'net.dns' | 'net.connect' | 'net.listen' | 'tools' | 'infer'

export interface OperationRow {
  readonly code: number
  readonly class: EffectClassName
  readonly via: readonly Via[]
  /** The permission policy and capability are asked for, or null for control. */
  readonly action: Action | null
  readonly args: readonly Field[]
  readonly result: readonly Field[]
  readonly doc: string
  /** Generation the operation was added in; left out: 1. */
  readonly since?: number
}

export type OperationRows = Readonly<Record<string, OperationRow>>
