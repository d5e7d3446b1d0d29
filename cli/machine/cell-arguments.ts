import type { CellFile } from './qemu-binary.ts'

/** The command line of authority-cell (cell/cell.c). Pure. */

/** Host mounts: the back end of their devices, which stands in the cell too. */
export interface CellMounts {
  /** The gate's socket. */
  readonly gate: { readonly fd: number; readonly path: string }
  /** What QEMU shares with it. */
  readonly memoryMiB: number
  /** QEMU's end of each device, and the mount's number. */
  readonly mounts: readonly { readonly fd: number; readonly number: number }[]
}

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
  readonly mounts: CellMounts | null
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
    ...mounts(spec.mounts),
    '--',
    ...spec.program,
  ]
}

function mounts(wanted: CellMounts | null): string[] {
  if (wanted === null) return []
  return [
    ...['--gate', String(wanted.gate.fd), wanted.gate.path],
    ...['--shared', String(wanted.memoryMiB)],
    ...wanted.mounts.flatMap(({ fd, number }) => ['--files', String(fd), String(number)]),
  ]
}
