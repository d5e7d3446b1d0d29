/** Boots init in QEMU with its ports on unix sockets, for the smoke run. The product's machine is in cli/machine, which this folder must not import. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { encodeLinkControl, LINK_CONTROL, LinkReader, MAX_FRAME_BYTES, PORTS, parseLinkControl } from '@authority/protocol'
import type { Transport } from '../../gate/transport.ts'
import { type GuestHandlers, GuestLink } from '../index.ts'

export interface SmokeParts {
  readonly folder: string
  readonly kernel: string
  readonly initrd: string
  readonly image: string
}

export interface SmokeVm {
  readonly link: GuestLink
  readonly ports: { readonly control: Transport; readonly effects: Transport }
  readonly ended: Promise<void>
  kill(): void
}

export async function bootVm(parts: SmokeParts, handlers: GuestHandlers): Promise<SmokeVm> {
  const names = ['control', 'effects', 'net'] as const
  const sockets = names.map((name) => listen(join(parts.folder, name)))
  const devices = names.flatMap((name) => [
    ...['-chardev', `socket,id=${name},path=${join(parts.folder, name)}`],
    ...['-device', `virtserialport,chardev=${name},name=${PORTS[name]}`],
  ])
  const qemu: ChildProcess = spawn(
    'qemu-system-x86_64',
    [
      ...'-no-user-config -nodefaults -display none -no-reboot -accel tcg -cpu max -M pc -m 256 -device virtio-serial-pci'.split(' '),
      ...['-kernel', parts.kernel, '-initrd', parts.initrd, '-append', 'quiet reboot=t panic=-1 no_timer_check'],
      ...devices,
      ...['-drive', `file=${parts.image},format=raw,if=none,id=d,readonly=on`, '-device', 'virtio-blk-pci,drive=d'],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const ended = new Promise<void>((resolve) => qemu.once('exit', () => resolve()))
  const [control, effects] = (await Promise.all(sockets)) as [Transport, Transport]
  echoSessions(effects)
  return { link: new GuestLink(control, CLOCK, handlers), ports: { control, effects }, ended, kill: () => void qemu.kill('SIGKILL') }
}

const CLOCK = {
  now: () => performance.now(),
  after: (ms: number, run: () => void) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

function listen(path: string): Promise<Transport> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      server.close()
      resolve(transportOf(socket))
    }).listen(path)
  })
}

/** Node delivers nothing before a 'data' listener is there, so no early message is lost. */
function transportOf(socket: Socket): Transport {
  let onData: Transport['onData'] = null
  const transport: Transport = {
    write: (bytes) => void socket.write(bytes),
    get queued() {
      return socket.writableLength
    },
    onDrain: null,
    get onData() {
      return onData
    },
    set onData(listener) {
      if (onData === null) socket.on('data', (chunk) => onData?.(new Uint8Array(chunk as Buffer)))
      onData = listener
    },
    onClose: null,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => void socket.destroy(),
  }
  socket.on('error', () => undefined)
  socket.on('close', () => transport.onClose?.())
  return transport
}

/** Sends every frame of a session back, and confirms the end of each. */
function echoSessions(port: Transport): void {
  const reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  port.onData = (chunk) =>
    reader.push(chunk, (session, item) => {
      if (session !== 0) return port.write(frame(session, item))
      const message = parseLinkControl(item)
      if (message.type === LINK_CONTROL.SESSION_CLOSE) port.write(encodeLinkControl(message))
    })
}

function frame(session: number, item: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + item.length)
  new DataView(bytes.buffer).setUint32(0, item.length + 4)
  new DataView(bytes.buffer).setUint32(4, session)
  bytes.set(item, 8)
  return bytes
}
