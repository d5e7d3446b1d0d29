export { MAX_OPEN_QUESTIONS } from './limits.ts'
export { GuestLink } from './link.ts'
export * from './types.ts'
