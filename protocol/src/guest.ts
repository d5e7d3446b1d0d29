/**
 * What init (PID 1 in the guest) and the gate say to each other. One table, from which the C header of kernel/guest/init is generated.
 * Each message is one link frame holding one CBOR array whose first element is the number given here; the fields that follow are declared in
 * guest-schema.ts.
 * Everything from the guest is a claim: the gate bounds it, records it as `guest-claimed`, and builds no invariant on it.
 */

/** Named virtio-serial ports. None can starve another: each has its own queue in QEMU and its own reader in init and gate. */
export const PORTS = {
  /** Sessions of agents (SPEC.md messages), link session = session number; session 0 carries LINK_CONTROL. */
  effects: 'authority.effects',
  /** GUEST_TO_GATE and GATE_TO_GUEST below, on link session 0. */
  control: 'authority.control',
  /** Sessions of the guest's own network process: captured connections and DNS packets of any program. Framed as `effects`. */
  net: 'authority.net',
} as const

/** Version of this table; init refuses to start the agent under another. */
export const GUEST_VERSION = 3

/** Session 0 of the effects and of the net port. */
export const LINK_CONTROL = {
  /** guest→gate: a local process connected to GUEST_SOCKET */
  SESSION_OPEN: 1,
  /** both: that end is gone; nothing more is sent on it. The number is not reused before the other end answered with the same. */
  SESSION_CLOSE: 2,
} as const

export const GUEST_TO_GATE = {
  /** first message; nothing is mounted yet */
  READY: 1,
  /** every fence of SETUP is armed */
  ARMED: 2,
  /** the agent is about to execute */
  STARTED: 3,
  /** the agent is gone; init powers off when told to */
  EXITED: 4,
  /** spends STDOUT_CREDIT */
  OUTPUT: 5,
  /** end of file */
  OUTPUT_END: 6,
  /** the agent's stdin can take that many more bytes */
  STDIN_CREDIT: 7,
  /** an image file is opened; unanswered, only that thread waits */
  OPEN_QUESTION: 8,
  /** a fence could not be armed or broke; init powers off next */
  FAULT: 9,
  /** answer to PING */
  PONG: 10,
  /** CPU time of the guest so far, each 250 ms while the agent runs */
  TICK: 11,
  /** answer to WHO */
  PROGRAM: 12,
  /** answer to SIGNALLED */
  SIGNAL_WAITS: 13,
  /** answer to LOOK_AGAIN */
  LOOKED_AGAIN: 14,
} as const

export const GATE_TO_GUEST = {
  /** what to mount and arm; answered with ARMED or FAULT */
  SETUP: 1,
  /** what to run */
  START: 2,
  /** spends STDIN_CREDIT */
  STDIN: 3,
  /** end of file */
  STDIN_END: 4,
  /** the gate can take that many more bytes */
  STDOUT_CREDIT: 5,
  OPEN_ANSWER: 6,
  /** for the agent's process group */
  SIGNAL: 7,
  /** size of the terminal */
  WINDOW: 8,
  /** sync nothing, power off now */
  POWER_OFF: 9,
  PING: 10,
  /** which program a process is; answered with PROGRAM */
  WHO: 11,
  /** whether a signal waits for a process; answered with SIGNAL_WAITS */
  SIGNALLED: 12,
  /** host files the guest's kernel must not believe anything kept of; answered with LOOKED_AGAIN */
  LOOK_AGAIN: 13,
} as const

/** `kind` of EXITED, and what `value` then is. */
export const EXIT_KIND = { EXIT: 0, SIGNAL: 1, EXEC_FAILED: 2 } as const
/** What ARMED names. */
export const FENCES = ['root', 'fuse', 'fanotify', 'loopback', 'scratch'] as const

/** Bytes of stdio one OUTPUT or STDIN message carries at most. */
export const MAX_STDIO_BYTES = 32 * 1024
/** Bytes of credit each of stdout and stderr starts with. */
export const INITIAL_STDOUT_CREDIT = 256 * 1024
/** ms without a message from the gate (it pings each second) after which init powers off. */
export const GATE_SILENCE_MS = 30_000
/** Where local programs reach the gate in the guest. */
export const GUEST_SOCKET = '/run/authority/gate.sock'
/** Mounts one run may have. */
export const MAX_MOUNTS = 32
/** Host files one LOOK_AGAIN names at most. */
export const MAX_LOOK_AGAIN = 256
/** The agent's uid and gid in the guest. */
export const AGENT_UID = 1000
/** Scratch file systems one run may have. */
export const MAX_SCRATCH = 32
/** Bytes of an executable's path in SESSION_OPEN: init cuts a longer one at its end. */
export const MAX_EXE_BYTES = 256
/** Strings of argv, and of the environment, at most. */
export const MAX_START_STRINGS = 1024
/** Bytes of one of them, as Linux's MAX_ARG_STRLEN. */
export const MAX_START_STRING_BYTES = 128 * 1024
/** Unpredictable bytes SETUP brings. */
export const ENTROPY_BYTES = 32
/** Greatest errno Linux has room for. */
export const MAX_ERRNO = 4095
