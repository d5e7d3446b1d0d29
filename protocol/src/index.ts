export { checkArguments, fieldsIn } from './arguments.ts'
export { decode, encode, type WireValue } from './codec.ts'
export * from './errors.ts'
export * from './guest.ts'
export * from './guest-messages.ts'
export { GATE_TO_GUEST_MESSAGES, GUEST_MESSAGES, type GuestMessageRow, LINK_CONTROL_MESSAGES } from './guest-schema.ts'
export * from './limits.ts'
export { encodeFrame, LinkReader, type OnFrame } from './link.ts'
export {
  encodeMessage,
  errorOf,
  errorReply,
  itemOf,
  negotiate,
  parseClientMessage,
  parseGateMessage,
  requestArgs,
} from './message-codec.ts'
export { MESSAGES, type MessageRow } from './message-schema.ts'
export * from './messages.ts'
export * from './operations.ts'
