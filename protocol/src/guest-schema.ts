import {
  ENTROPY_BYTES,
  FENCES,
  GATE_TO_GUEST,
  GUEST_TO_GATE,
  LINK_CONTROL,
  MAX_ERRNO,
  MAX_EXE_BYTES,
  MAX_LOOK_AGAIN,
  MAX_MOUNTS,
  MAX_SCRATCH,
  MAX_START_STRING_BYTES,
  MAX_START_STRINGS,
  MAX_STDIO_BYTES,
} from './guest.ts'
import { MAX_PATH_BYTES } from './limits.ts'
import { bool, bytes, type Field, field, list, MAX_U32, text, tuple, u32, uint } from './schema.ts'

/** Fields of each message between init and gate, positional after its number. The C header, SPEC.md and both parsers follow from them. */
export interface GuestMessageRow {
  readonly number: number
  readonly fields: readonly Field[]
  readonly doc: string
}
type Rows<T> = { readonly [name in keyof T]: GuestMessageRow }

const GREATEST_SIGNAL = 64
const ascii = 'bytes outside 0x20–0x7e sent as `?`'

const version = field('version', u32, 'GUEST_VERSION')
const pid = field('pid', u32, 'process id in the guest')
const outputFd = field('fd', uint(2, 1), '1 stdout, 2 stderr')
const credit = field('bytes', uint(MAX_U32, 1), 'that many more')
const data = field('data', bytes(MAX_STDIO_BYTES, 1), 'as read')
const questionId = field('id', u32, 'chosen by init; free again after the answer')
const nonce = field('n', u32, 'any number; comes back in PONG')
const rows = field('rows', uint(0xffff), 'of the terminal; 0 when there is none')
const cols = field('cols', uint(0xffff), 'of the terminal; 0 when there is none')
const path = field('path', text(MAX_PATH_BYTES, 1), 'absolute path in the guest')
const session = field('session', uint(MAX_U32, 1), 'link session')

export const LINK_CONTROL_MESSAGES: Rows<typeof LINK_CONTROL> = {
  SESSION_OPEN: {
    number: LINK_CONTROL.SESSION_OPEN,
    fields: [
      session,
      pid,
      field('uid', u32, 'of that process'),
      field('exe', text(MAX_EXE_BYTES), `its executable; ${ascii}, cut at ${MAX_EXE_BYTES}`),
    ],
    doc: 'guest→gate: a local process connected to the guest socket. Guest-claimed.',
  },
  SESSION_CLOSE: {
    number: LINK_CONTROL.SESSION_CLOSE,
    fields: [session],
    doc: 'both: that end is gone; the number is free again when both ends have said so.',
  },
}

export const GUEST_MESSAGES: Rows<typeof GUEST_TO_GATE> = {
  READY: {
    number: GUEST_TO_GATE.READY,
    fields: [
      version,
      field('boot_ms', uint(), 'ms since the guest kernel started'),
      field('kernel', text(256), `kernel release; ${ascii}`),
    ],
    doc: 'First message; nothing is mounted yet.',
  },
  ARMED: {
    number: GUEST_TO_GATE.ARMED,
    fields: [field('fences', list(text(16), FENCES.length), FENCES.map((name) => `\`${name}\``).join(', '))],
    doc: 'Every fence of SETUP is armed.',
  },
  STARTED: { number: GUEST_TO_GATE.STARTED, fields: [pid], doc: 'The agent is about to execute.' },
  EXITED: {
    number: GUEST_TO_GATE.EXITED,
    fields: [
      field('kind', uint(2), '0 exit, 1 signal, 2 exec failed'),
      field('value', uint(MAX_ERRNO), 'status, signal or errno'),
      field('cpu_us', uint(), 'µs of CPU time of the agent and its children'),
      field('max_rss_kib', uint(), 'KiB of memory at its peak'),
      field('oom_kills', u32, 'processes the guest kernel has killed because it had no memory left'),
    ],
    doc: 'The agent is gone.',
  },
  OUTPUT: { number: GUEST_TO_GATE.OUTPUT, fields: [outputFd, data], doc: 'Bytes the agent wrote; spends STDOUT_CREDIT.' },
  OUTPUT_END: { number: GUEST_TO_GATE.OUTPUT_END, fields: [outputFd], doc: 'End of file.' },
  STDIN_CREDIT: { number: GUEST_TO_GATE.STDIN_CREDIT, fields: [credit], doc: 'The agent’s stdin can take that many more bytes.' },
  OPEN_QUESTION: {
    number: GUEST_TO_GATE.OPEN_QUESTION,
    fields: [
      questionId,
      pid,
      field('exec', bool, 'opened to be executed'),
      field('nlink', u32, 'hard links of the file'),
      field('path', bytes(MAX_PATH_BYTES, 1), 'as the guest kernel names it'),
    ],
    doc: 'An image file is opened; unanswered, only that thread waits.',
  },
  FAULT: {
    number: GUEST_TO_GATE.FAULT,
    fields: [
      field('stage', text(64), 'what init was doing'),
      field('errno', uint(MAX_ERRNO), 'of the failed system call, or 0'),
      field('detail', text(1024), `for people; ${ascii}`),
    ],
    doc: 'A fence could not be armed or broke; init powers off next.',
  },
  PONG: { number: GUEST_TO_GATE.PONG, fields: [nonce], doc: 'Answer to PING.' },
  TICK: {
    number: GUEST_TO_GATE.TICK,
    fields: [field('cpu_us', uint(), 'µs of CPU time of the guest so far')],
    doc: 'Each 250 ms while the agent runs.',
  },
  PROGRAM: {
    number: GUEST_TO_GATE.PROGRAM,
    fields: [
      pid,
      field('exe', text(MAX_EXE_BYTES), `its executable, empty when there is no such process; ${ascii}, cut at ${MAX_EXE_BYTES}`),
    ],
    doc: 'Answer to WHO, in order.',
  },
  SIGNAL_WAITS: {
    number: GUEST_TO_GATE.SIGNAL_WAITS,
    fields: [pid, field('waits', bool, 'a signal it does not block, or there is no such process')],
    doc: 'Answer to SIGNALLED, in order.',
  },
  LOOKED_AGAIN: { number: GUEST_TO_GATE.LOOKED_AGAIN, fields: [], doc: 'Answer to LOOK_AGAIN.' },
}

const mount = tuple(
  field('number', uint(MAX_U32, 1), 'link session of its FUSE messages; its device has the tag `mount` and this number'),
  path,
  field('readonly', bool, 'mounted read-only in the guest too'),
  field('file', bool, 'one regular file instead of a folder'),
)
const hostFile = tuple(
  field('mount', uint(MAX_U32, 1), 'number of its mount'),
  field('node', uint(Number.MAX_SAFE_INTEGER, 1), 'its FUSE node number there'),
  field('attributes', bool, 'not only its name: programs have it open and go by them'),
)
const scratch = tuple(path, field('size', uint(), 'bytes at most'), field('mode', uint(0o7777), 'permission bits of its root'))

export const GATE_TO_GUEST_MESSAGES: Rows<typeof GATE_TO_GUEST> = {
  SETUP: {
    number: GATE_TO_GUEST.SETUP,
    fields: [
      version,
      field('entropy', bytes(ENTROPY_BYTES, ENTROPY_BYTES), 'unpredictable bytes for the guest kernel'),
      field('time_s', uint(), 'wall clock, seconds since the epoch'),
      field('time_ns', uint(999_999_999), 'and nanoseconds'),
      field('hostname', text(64, 1), 'of the guest'),
      field('mounts', list(mount, MAX_MOUNTS), 'host mounts, to mount in this order'),
      field('scratch', list(scratch, MAX_SCRATCH), 'scratch file systems'),
    ],
    doc: 'What to mount and arm; answered with ARMED or FAULT.',
  },
  START: {
    number: GATE_TO_GUEST.START,
    fields: [
      field('argv', list(text(MAX_START_STRING_BYTES), MAX_START_STRINGS), 'argv[0] is the program, an absolute path'),
      field('env', list(text(MAX_START_STRING_BYTES), MAX_START_STRINGS), '`KEY=VALUE`, the whole environment'),
      field('cwd', text(MAX_PATH_BYTES, 1), 'absolute path'),
      field('uid', u32, 'never 0'),
      field('gid', u32, 'never 0'),
      field('tty', bool, 'stdin, stdout and stderr are one terminal'),
      rows,
      cols,
    ],
    doc: 'What to run.',
  },
  STDIN: { number: GATE_TO_GUEST.STDIN, fields: [data], doc: 'Bytes for the agent; spends STDIN_CREDIT.' },
  STDIN_END: { number: GATE_TO_GUEST.STDIN_END, fields: [], doc: 'End of file.' },
  STDOUT_CREDIT: { number: GATE_TO_GUEST.STDOUT_CREDIT, fields: [outputFd, credit], doc: 'The gate can take that many more bytes.' },
  OPEN_ANSWER: {
    number: GATE_TO_GUEST.OPEN_ANSWER,
    fields: [questionId, field('allow', bool, 'else EPERM'), field('cacheable', bool, 'need not be asked for this inode again')],
    doc: 'Answers OPEN_QUESTION.',
  },
  SIGNAL: {
    number: GATE_TO_GUEST.SIGNAL,
    fields: [field('signal', uint(GREATEST_SIGNAL, 1), 'Linux signal number')],
    doc: 'For the agent’s process group.',
  },
  WINDOW: { number: GATE_TO_GUEST.WINDOW, fields: [rows, cols], doc: 'Size of the terminal.' },
  POWER_OFF: { number: GATE_TO_GUEST.POWER_OFF, fields: [], doc: 'Sync nothing, power off now.' },
  WHO: { number: GATE_TO_GUEST.WHO, fields: [pid], doc: 'Asked when an effect of this process was denied, before it is told.' },
  SIGNALLED: {
    number: GATE_TO_GUEST.SIGNALLED,
    fields: [pid],
    doc: 'Asked while a file request of this process waits long: a virtio-fs device does not tell that it was interrupted.',
  },
  LOOK_AGAIN: {
    number: GATE_TO_GUEST.LOOK_AGAIN,
    fields: [field('files', list(hostFile, MAX_LOOK_AGAIN), 'which changed')],
    doc: 'The guest kernel is to ask again for what it keeps of host files: a virtio-fs device cannot tell it. Not asked again before the answer.',
  },
  PING: { number: GATE_TO_GUEST.PING, fields: [nonce], doc: 'Each second, so that init knows the gate lives.' },
}
