/** Bounds of the gate's end of the control port. What both ends must agree on stands in protocol/src/guest.ts. */
import { MAX_STDIO_BYTES } from '@authority/protocol'

/** Bytes of one frame from the guest: the largest message is OUTPUT with its heads. */
export const MAX_CONTROL_FRAME_BYTES = MAX_STDIO_BYTES + 64
/** Open questions one guest may have unanswered; init asks no more than this (init/bounds.h). */
export const MAX_OPEN_QUESTIONS = 256
/** Bytes of stdin credit a guest may hold out at once. */
export const MAX_STDIN_CREDIT = 1 << 20
/**
 * Bytes the guest may leave unread on its control port: all the stdin it gave credit for, and as much again for answers. Init reads always; a guest that asks
 * and never reads would otherwise make the gate keep what it says.
 */
export const MAX_CONTROL_UNREAD_BYTES = 2 * MAX_STDIN_CREDIT
/** Bytes taken from one output stream after which its credit is given back in one message. */
export const CREDIT_STEP_BYTES = 64 * 1024
/** Ticks beyond the ones time allows, for a guest whose messages were held up. */
export const TICK_BURST = 200
/** ms of real time one tick takes at least, on average; init sends one each 250. */
export const TICK_LEAST_MS = 100

/** ms from connecting the port to READY: an emulated kernel boots in that. */
export const READY_DEADLINE_MS = 60_000
/** ms from SETUP to ARMED. */
export const ARMED_DEADLINE_MS = 30_000
/** ms from START to STARTED. */
export const STARTED_DEADLINE_MS = 10_000
/** ms init has to say something about a process. */
export const WHO_DEADLINE_MS = 1_000
/** ms the guest has to look again at up to MAX_LOOK_AGAIN host files, of which each is a question to the gate. */
export const LOOK_AGAIN_DEADLINE_MS = 30_000
/** ms between two PINGs. */
export const PING_MS = 1_000
/** ms without a PONG after which the guest counts as hung. */
export const GUEST_SILENCE_MS = 30_000
/** ms from POWER_OFF to the port's end. */
export const POWER_OFF_DEADLINE_MS = 5_000
