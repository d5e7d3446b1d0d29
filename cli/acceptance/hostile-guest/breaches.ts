/** What breaks a link, which ends the run (SPEC.md sections 8 and 13), and what the run's end then says. */
import { encodeFrame, encodeFuseFrame, encodeGuestMessage, GUEST_TO_GATE, type GuestMessage } from '@authority/protocol'
import { ARMED, HELLO, READY, type Script, STARTED } from './script.ts'

export interface Breach {
  readonly what: string
  readonly play: (script: Script) => Script
  /** In the reason of the run's end. */
  readonly reason: RegExp
  /** By default the guest: it broke the conversation. */
  readonly endedBy?: 'machine'
}

/** Big-endian words: a frame header, and perhaps the beginning of an item. */
export function words(...values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * index)
  return bytes
}

const EXITED: GuestMessage = { type: GUEST_TO_GATE.EXITED, kind: 0, value: 0, cpuUs: 0, maxRssKib: 0, oomKills: 0 }
const sessions = (script: Script, count: number, spoil: boolean): Script => {
  for (let i = 1; i <= count; i++) {
    script.openSession(i)
    if (spoil) script.send('effects', encodeFrame(i, 0))
  }
  return script
}

export const BREACHES: readonly Breach[] = [
  { what: 'effects: a session never opened', play: (s) => s.handshake().session(77, HELLO), reason: /session 77 was never opened/ },
  { what: 'effects: a session opened twice', play: (s) => s.handshake().openSession(1).openSession(1), reason: /session 1 opened twice/ },
  { what: 'effects: 257 sessions at once', play: (s) => sessions(s.handshake(), 257, false), reason: /more than 256 sessions/ },
  {
    what: 'effects: sessions the gate ended, never confirmed',
    play: (s) => sessions(s.handshake(), 300, true),
    reason: /more than 256 sessions/,
  },
  {
    what: 'effects: garbage on session 0',
    play: (s) => s.handshake().send('effects', encodeFrame(0, ['x', 1])),
    reason: /sent a message this end does not know/,
  },
  {
    what: 'effects: a length of 4 GiB',
    play: (s) => s.handshake().send('effects', words(0xffff_ffff, 1)),
    reason: /frame of 4294967295 bytes/,
  },
  {
    what: 'net: a session never opened',
    play: (s) => s.handshake().send('net', encodeFrame(77, [3, 1, 0x0201, 0, 0, ['granted.example', 443]])),
    reason: /session 77 was never opened/,
  },
  { what: 'net: a length of 4 GiB', play: (s) => s.handshake().send('net', words(0xffff_ffff, 1)), reason: /frame of 4294967295 bytes/ },
  {
    what: 'fuse: a mount that cannot be',
    play: (s) => s.handshake().send('fuse', encodeFuseFrame(33, Buffer.alloc(40))),
    reason: /mount 33 does not exist/,
  },
  { what: 'fuse: an item that is no byte string', play: (s) => s.handshake().send('fuse', encodeFrame(1, [1])), reason: /FUSE/ },
  { what: 'fuse: a length of 0', play: (s) => s.handshake().send('fuse', words(0, 1)), reason: /frame of 0 bytes/ },
  { what: 'control: EXITED before anything', play: (s) => s.control(EXITED), reason: /sent EXITED while booting/ },
  { what: 'control: STARTED before START', play: (s) => s.control(READY, STARTED), reason: /sent STARTED while (ready|arming)/ },
  {
    what: 'control: fences left out',
    play: (s) =>
      s
        .control(READY)
        .await('control', 1)
        .control({ ...ARMED, fences: ['root', 'fuse'] } as GuestMessage),
    reason: /did not arm fanotify, loopback, scratch/,
  },
  {
    what: 'control: FAULT with an escape sequence',
    play: (s) => s.control(READY).await('control', 1).control({ type: GUEST_TO_GATE.FAULT, stage: 'fuse', errno: 1, detail: '\u001b[2J' }),
    reason: /«fuse»: \\u\{1b\}\[2J/,
  },
  {
    what: 'control: PROGRAM nobody asked for',
    play: (s) => s.handshake().control({ type: GUEST_TO_GATE.PROGRAM, pid: 1, exe: '/x' }),
    reason: /answered a WHO that was not sent/,
  },
  {
    what: 'control: SIGNAL_WAITS nobody asked for',
    play: (s) => s.handshake().control({ type: GUEST_TO_GATE.SIGNAL_WAITS, pid: 1, waits: true }),
    reason: /answered a SIGNALLED that was not sent/,
  },
  {
    what: 'control: LOOKED_AGAIN nobody asked for',
    play: (s) => s.handshake().control({ type: GUEST_TO_GATE.LOOKED_AGAIN }),
    reason: /looked again without being asked/,
  },
  { what: 'fuse: a length of 4 GiB', play: (s) => s.handshake().send('fuse', words(0xffff_ffff, 1)), reason: /frame of 4294967295 bytes/ },
  { what: 'control: EXITED before the output ended', play: (s) => s.handshake().control(EXITED), reason: /EXITED before its output ended/ },
  {
    what: 'control: a flood of ticks',
    play: (s) => s.handshake().send('control', encodeGuestMessage({ type: GUEST_TO_GATE.TICK, cpuUs: 1 }), 5_000),
    reason: /floods the gate with ticks/,
  },
  {
    what: 'control: 2 GiB of stdin credit',
    play: (s) => s.handshake().control({ type: GUEST_TO_GATE.STDIN_CREDIT, bytes: 0x7fff_ffff }),
    reason: /more stdin credit/,
  },
  { what: 'control: garbage', play: (s) => s.handshake().send('control', Buffer.alloc(64, 0xff)), reason: /frame of 4294967295 bytes/ },
  {
    what: 'the guest resets its machine before it says a word',
    play: (s) => s.reboot(),
    reason: /closed its control port while booting: its kernel panicked or restarted \(--console/,
    endedBy: 'machine',
  },
  {
    what: 'the guest resets its machine',
    play: (s) => s.handshake().reboot(),
    reason: /(went away|closed its control port while running): its kernel panicked or restarted/,
    endedBy: 'machine',
  },
  {
    what: 'the guest’s kernel panics',
    play: (s) => s.handshake().die(),
    reason: /(went away|closed its control port while running): its kernel panicked or restarted/,
    endedBy: 'machine',
  },
]
