/*
 * Generated from protocol/src by `bun protocol/generate.ts`; do not edit.
 * Every frame: u32 length of what follows, u32 session, one CBOR item; big-endian. protocol/SPEC.md has the rest.
 */
#ifndef AUTHORITY_PROTOCOL_H
#define AUTHORITY_PROTOCOL_H

/* Versions */
#define AUTHORITY_PROTOCOL_VERSION 1u
#define AUTHORITY_GENERATION 1u
#define AUTHORITY_GUEST_VERSION 3u

/* Names of the virtio-serial ports */
#define AUTHORITY_PORT_EFFECTS "authority.effects"
#define AUTHORITY_PORT_CONTROL "authority.control"
#define AUTHORITY_PORT_NET "authority.net"

/* Where local programs reach the gate */
#define AUTHORITY_GUEST_SOCKET "/run/authority/gate.sock"

/* Limits: bytes, counts and milliseconds */
#define AUTHORITY_LINK_HEADER_BYTES 8u
#define AUTHORITY_MAX_FRAME_BYTES 1048576u
#define AUTHORITY_MAX_ITEM_BYTES 1048572u
#define AUTHORITY_MAX_CBOR_DEPTH 8u
#define AUTHORITY_MAX_CBOR_ARRAY 4096u
#define AUTHORITY_MAX_CHUNK_BYTES 65536u
#define AUTHORITY_MAX_PATH_BYTES 4096u
#define AUTHORITY_MAX_FUSE_DATA_BYTES 524288u
#define AUTHORITY_MAX_SESSIONS 256u
#define AUTHORITY_MAX_STREAMS 256u
#define AUTHORITY_MAX_IN_FLIGHT 256u
#define AUTHORITY_INITIAL_STREAM_CREDIT 262144u
#define AUTHORITY_MAX_STREAM_CREDIT 4294967295u
#define AUTHORITY_MAX_MESSAGE_BYTES 4096u
#define AUTHORITY_MAX_DNS_BYTES 1232u
#define AUTHORITY_MAX_STDIO_BYTES 32768u
#define AUTHORITY_INITIAL_STDOUT_CREDIT 262144u
#define AUTHORITY_MAX_MOUNTS 32u
#define AUTHORITY_MAX_SCRATCH 32u
#define AUTHORITY_MAX_LOOK_AGAIN 256u
#define AUTHORITY_MAX_EXE_BYTES 256u
#define AUTHORITY_MAX_START_STRINGS 1024u
#define AUTHORITY_MAX_START_STRING_BYTES 131072u
#define AUTHORITY_ENTROPY_BYTES 32u
#define AUTHORITY_GATE_SILENCE_MS 30000u
#define AUTHORITY_AGENT_UID 1000u

/* Kinds of EXITED */
#define AUTHORITY_EXIT_KIND_EXIT 0u
#define AUTHORITY_EXIT_KIND_SIGNAL 1u
#define AUTHORITY_EXIT_KIND_EXEC_FAILED 2u

/* Fences ARMED names */
#define AUTHORITY_FENCE_ROOT "root"
#define AUTHORITY_FENCE_FUSE "fuse"
#define AUTHORITY_FENCE_FANOTIFY "fanotify"
#define AUTHORITY_FENCE_LOOPBACK "loopback"
#define AUTHORITY_FENCE_SCRATCH "scratch"

/* Messages of a session, as far as init speaks them */
#define AUTHORITY_MESSAGE_HELLO 1u
#define AUTHORITY_MESSAGE_WELCOME 2u
#define AUTHORITY_MESSAGE_REQUEST 3u
#define AUTHORITY_MESSAGE_RESULT 4u
#define AUTHORITY_MESSAGE_ERROR 5u
#define AUTHORITY_MESSAGE_CANCEL 6u
#define AUTHORITY_MESSAGE_STREAM_DATA 7u
#define AUTHORITY_MESSAGE_STREAM_END 8u
#define AUTHORITY_MESSAGE_STREAM_CREDIT 9u
#define AUTHORITY_MESSAGE_STREAM_RESET 10u
#define AUTHORITY_MESSAGE_GOODBYE 11u

/* Operations init asks for */
#define AUTHORITY_OPERATION_NET_CONNECT 513u
#define AUTHORITY_OPERATION_NET_QUERY 516u
#define AUTHORITY_OPERATION_NET_ACCEPT 517u

/* Error codes */
#define AUTHORITY_E_PROTOCOL 1u
#define AUTHORITY_E_FRAME_TOO_LARGE 2u
#define AUTHORITY_E_UNSUPPORTED 3u
#define AUTHORITY_E_CAP_MISSING 10u
#define AUTHORITY_E_CAP_INVALID 11u
#define AUTHORITY_E_CAP_EXPIRED 12u
#define AUTHORITY_E_CAP_SCOPE 13u
#define AUTHORITY_E_CAP_REVOKED 14u
#define AUTHORITY_E_CAP_RATE 15u
#define AUTHORITY_E_CAP_RUN 16u
#define AUTHORITY_E_POLICY_DENY 20u
#define AUTHORITY_E_APPROVAL_REQUIRED 21u
#define AUTHORITY_E_APPROVAL_DENIED 22u
#define AUTHORITY_E_BUDGET_EXCEEDED 30u
#define AUTHORITY_E_RATE_LIMIT 31u
#define AUTHORITY_E_AUDIT 40u
#define AUTHORITY_E_NOT_FOUND 50u
#define AUTHORITY_E_EXISTS 51u
#define AUTHORITY_E_CONFLICT 52u
#define AUTHORITY_E_IO 53u
#define AUTHORITY_E_TIMEOUT 54u
#define AUTHORITY_E_CANCELLED 55u
#define AUTHORITY_E_UPSTREAM 56u
#define AUTHORITY_E_INTERNAL 57u

/* Session 0 of the effects and of the net port */
/* [1, session, pid, uid, exe] guest→gate: a local process connected to the guest socket. Guest-claimed. */
#define AUTHORITY_LINK_SESSION_OPEN 1u
#define AUTHORITY_LINK_SESSION_OPEN_ELEMENTS 5u
/* [2, session] both: that end is gone; the number is free again when both ends have said so. */
#define AUTHORITY_LINK_SESSION_CLOSE 2u
#define AUTHORITY_LINK_SESSION_CLOSE_ELEMENTS 2u

/* The control port, guest to gate */
/* [1, version, boot_ms, kernel] First message; nothing is mounted yet. */
#define AUTHORITY_GUEST_READY 1u
#define AUTHORITY_GUEST_READY_ELEMENTS 4u
/* [2, fences] Every fence of SETUP is armed. */
#define AUTHORITY_GUEST_ARMED 2u
#define AUTHORITY_GUEST_ARMED_ELEMENTS 2u
/* [3, pid] The agent is about to execute. */
#define AUTHORITY_GUEST_STARTED 3u
#define AUTHORITY_GUEST_STARTED_ELEMENTS 2u
/* [4, kind, value, cpu_us, max_rss_kib, oom_kills] The agent is gone. */
#define AUTHORITY_GUEST_EXITED 4u
#define AUTHORITY_GUEST_EXITED_ELEMENTS 6u
/* [5, fd, data] Bytes the agent wrote; spends STDOUT_CREDIT. */
#define AUTHORITY_GUEST_OUTPUT 5u
#define AUTHORITY_GUEST_OUTPUT_ELEMENTS 3u
/* [6, fd] End of file. */
#define AUTHORITY_GUEST_OUTPUT_END 6u
#define AUTHORITY_GUEST_OUTPUT_END_ELEMENTS 2u
/* [7, bytes] The agent’s stdin can take that many more bytes. */
#define AUTHORITY_GUEST_STDIN_CREDIT 7u
#define AUTHORITY_GUEST_STDIN_CREDIT_ELEMENTS 2u
/* [8, id, pid, exec, nlink, path] An image file is opened; unanswered, only that thread waits. */
#define AUTHORITY_GUEST_OPEN_QUESTION 8u
#define AUTHORITY_GUEST_OPEN_QUESTION_ELEMENTS 6u
/* [9, stage, errno, detail] A fence could not be armed or broke; init powers off next. */
#define AUTHORITY_GUEST_FAULT 9u
#define AUTHORITY_GUEST_FAULT_ELEMENTS 4u
/* [10, n] Answer to PING. */
#define AUTHORITY_GUEST_PONG 10u
#define AUTHORITY_GUEST_PONG_ELEMENTS 2u
/* [11, cpu_us] Each 250 ms while the agent runs. */
#define AUTHORITY_GUEST_TICK 11u
#define AUTHORITY_GUEST_TICK_ELEMENTS 2u
/* [12, pid, exe] Answer to WHO, in order. */
#define AUTHORITY_GUEST_PROGRAM 12u
#define AUTHORITY_GUEST_PROGRAM_ELEMENTS 3u
/* [13, pid, waits] Answer to SIGNALLED, in order. */
#define AUTHORITY_GUEST_SIGNAL_WAITS 13u
#define AUTHORITY_GUEST_SIGNAL_WAITS_ELEMENTS 3u
/* [14] Answer to LOOK_AGAIN. */
#define AUTHORITY_GUEST_LOOKED_AGAIN 14u
#define AUTHORITY_GUEST_LOOKED_AGAIN_ELEMENTS 1u

/* The control port, gate to guest */
/* [1, version, entropy, time_s, time_ns, hostname, mounts, scratch] What to mount and arm; answered with ARMED or FAULT. */
#define AUTHORITY_GATE_SETUP 1u
#define AUTHORITY_GATE_SETUP_ELEMENTS 8u
/* [2, argv, env, cwd, uid, gid, tty, rows, cols] What to run. */
#define AUTHORITY_GATE_START 2u
#define AUTHORITY_GATE_START_ELEMENTS 9u
/* [3, data] Bytes for the agent; spends STDIN_CREDIT. */
#define AUTHORITY_GATE_STDIN 3u
#define AUTHORITY_GATE_STDIN_ELEMENTS 2u
/* [4] End of file. */
#define AUTHORITY_GATE_STDIN_END 4u
#define AUTHORITY_GATE_STDIN_END_ELEMENTS 1u
/* [5, fd, bytes] The gate can take that many more bytes. */
#define AUTHORITY_GATE_STDOUT_CREDIT 5u
#define AUTHORITY_GATE_STDOUT_CREDIT_ELEMENTS 3u
/* [6, id, allow, cacheable] Answers OPEN_QUESTION. */
#define AUTHORITY_GATE_OPEN_ANSWER 6u
#define AUTHORITY_GATE_OPEN_ANSWER_ELEMENTS 4u
/* [7, signal] For the agent’s process group. */
#define AUTHORITY_GATE_SIGNAL 7u
#define AUTHORITY_GATE_SIGNAL_ELEMENTS 2u
/* [8, rows, cols] Size of the terminal. */
#define AUTHORITY_GATE_WINDOW 8u
#define AUTHORITY_GATE_WINDOW_ELEMENTS 3u
/* [9] Sync nothing, power off now. */
#define AUTHORITY_GATE_POWER_OFF 9u
#define AUTHORITY_GATE_POWER_OFF_ELEMENTS 1u
/* [11, pid] Asked when an effect of this process was denied, before it is told. */
#define AUTHORITY_GATE_WHO 11u
#define AUTHORITY_GATE_WHO_ELEMENTS 2u
/* [12, pid] Asked while a file request of this process waits long: a virtio-fs device does not tell that it was interrupted. */
#define AUTHORITY_GATE_SIGNALLED 12u
#define AUTHORITY_GATE_SIGNALLED_ELEMENTS 2u
/* [13, files] The guest kernel is to ask again for what it keeps of host files: a virtio-fs device cannot tell it. Not asked again before the answer. */
#define AUTHORITY_GATE_LOOK_AGAIN 13u
#define AUTHORITY_GATE_LOOK_AGAIN_ELEMENTS 2u
/* [10, n] Each second, so that init knows the gate lives. */
#define AUTHORITY_GATE_PING 10u
#define AUTHORITY_GATE_PING_ELEMENTS 2u

#endif
