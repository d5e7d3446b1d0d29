import type { CellFile } from './qemu-binary.ts'

/** The command line of authority-cell (cell/cell.c). Pure. */

export interface CellSpec {
  /** Path of the launcher. */
  readonly launcher: string
  /** Process whose death ends the cell: ours. */
  readonly parent: number
  /** Unix sockets to connect to, before the cell is closed. */
  readonly connect: readonly { readonly fd: number; readonly path: string }[]
  /** Inherited descriptors that stay open. */
  readonly keep: readonly number[]
  readonly files: readonly CellFile[]
  /** Names below /dev. */
  readonly devices: readonly string[]
  readonly program: readonly string[]
}

export function cellArguments(spec: CellSpec): string[] {
  return [
    spec.launcher,
    ...['--parent', String(spec.parent)],
    ...spec.connect.flatMap(({ fd, path }) => ['--connect', String(fd), path]),
    ...spec.keep.flatMap((fd) => ['--keep', String(fd)]),
    ...spec.devices.flatMap((name) => ['--dev', name]),
    ...spec.files.flatMap(({ source, target }) => ['--ro', source, target]),
    '--',
    ...spec.program,
  ]
}
