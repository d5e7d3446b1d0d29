/**
 * What init (PID 1 in the guest) and the gate say to each other. One table, from which the C header of kernel/guest/init is generated.
 * Each message is one link frame holding one CBOR array whose first element is the number given here; field lists are positional.
 * Everything from the guest is a claim: the gate bounds it, records it as `guest-claimed`, and builds no invariant on it.
 */

/** Named virtio-serial ports. None can starve another: each has its own queue in QEMU and its own reader in init and gate. */
export const PORTS = {
  /** Sessions of agents (SPEC.md messages), link session = session number; session 0 carries LINK_CONTROL. */
  effects: 'authority.effects',
  /** Raw FUSE messages: link session = mount number, the CBOR item one byte string holding one FUSE message. */
  fuse: 'authority.fuse',
  /** GUEST_TO_GATE and GATE_TO_GUEST below, on link session 0. */
  control: 'authority.control',
} as const

/** Version of this table; init refuses to start the agent under another. */
export const GUEST_VERSION = 1

/** Session 0 of the effects port. */
export const LINK_CONTROL = {
  /** guest→gate [1, session u32, pid, uid, exe text]: a local process connected to /run/authority/gate.sock */
  SESSION_OPEN: 1,
  /** both [2, session]: that end is gone; nothing more is sent on it. The number is not reused before the other end answered with the same. */
  SESSION_CLOSE: 2,
} as const

export const GUEST_TO_GATE = {
  /** [1, version, boot_ms, kernel release text] first message; nothing is mounted yet */
  READY: 1,
  /** [2, fences text array] every fence of SETUP is armed: `root`, `fuse`, `fanotify`, `loopback`, `scratch` */
  ARMED: 2,
  /** [3, pid] the agent is about to execute */
  STARTED: 3,
  /** [4, kind 0 exit | 1 signal | 2 exec failed, value (status, signal or errno), cpu_us, max_rss_kib] */
  EXITED: 4,
  /** [5, fd 1|2, bytes ≤ 32 KiB] spends STDOUT_CREDIT */
  OUTPUT: 5,
  /** [6, fd 1|2] end of file */
  OUTPUT_END: 6,
  /** [7, bytes] the agent's stdin can take that many more */
  STDIN_CREDIT: 7,
  /** [8, id u32, pid, exec bool, nlink, path bytes] an image file is opened; unanswered, only that thread waits */
  OPEN_QUESTION: 8,
  /** [9, stage text, errno, detail text] a fence could not be armed or broke; init powers off next */
  FAULT: 9,
  /** [10, n] answer to PING */
  PONG: 10,
  /** [11, cpu_us] CPU time of the guest so far, each 250 ms while the agent runs */
  TICK: 11,
} as const

export const GATE_TO_GUEST = {
  /**
   * [1, version, entropy 32 bytes, time_s, time_ns, hostname text,
   *  mounts [[number u32, guest path text, readonly bool]…], scratch [[guest path text, size bytes, mode]…]]
   */
  SETUP: 1,
  /** [2, argv text array, env `K=V` text array, cwd text, uid, gid, tty bool, rows, cols] */
  START: 2,
  /** [3, bytes ≤ 32 KiB] spends STDIN_CREDIT */
  STDIN: 3,
  /** [4] end of file */
  STDIN_END: 4,
  /** [5, fd 1|2, bytes] the gate can take that many more */
  STDOUT_CREDIT: 5,
  /** [6, id u32, allow bool, cacheable bool] */
  OPEN_ANSWER: 6,
  /** [7, signal number] for the agent's process group */
  SIGNAL: 7,
  /** [8, rows, cols] */
  WINDOW: 8,
  /** [9] sync nothing, power off now */
  POWER_OFF: 9,
  /** [10, n] */
  PING: 10,
} as const

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
/** The agent's uid and gid in the guest. */
export const AGENT_UID = 1000
