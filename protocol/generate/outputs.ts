import { GENERATION } from '../src/limits.ts'
import { cddl } from './cddl.ts'
import { header } from './header.ts'
import { python } from './python.ts'
import { spec } from './spec.ts'
import { conversationVectors } from './vectors/conversations.ts'
import { frameVectors, malformedFrameVectors } from './vectors/frames.ts'
import { generationSchema } from './vectors/generation.ts'
import { guestVectors, malformedGuestVectors } from './vectors/guest.ts'
import { malformedMessageVectors, messageVectors } from './vectors/messages.ts'
import { malformedOperationVectors, operationVectors } from './vectors/operations.ts'
import { malformedVectors, valueVectors } from './vectors/values.ts'

export interface Output {
  /** Relative to the root of the repository. */
  readonly path: string
  readonly text: string
  readonly state: 'fresh' | 'stale' | 'frozen'
}

const SPEC = 'protocol/SPEC.md'
export const VECTORS = 'fixtures/vectors/protocol'

const WHOLE_FILES: { readonly [path: string]: () => string } = {
  'kernel/guest/init/protocol.h': header,
  'sdks/python/src/authority/_protocol.py': python,
  'protocol/protocol.cddl': cddl,
  [`${VECTORS}/values.json`]: valueVectors,
  [`${VECTORS}/malformed-values.json`]: malformedVectors,
  [`${VECTORS}/frames.json`]: frameVectors,
  [`${VECTORS}/malformed-frames.json`]: malformedFrameVectors,
  [`${VECTORS}/messages.json`]: messageVectors,
  [`${VECTORS}/malformed-messages.json`]: malformedMessageVectors,
  [`${VECTORS}/operations.json`]: operationVectors,
  [`${VECTORS}/malformed-operations.json`]: malformedOperationVectors,
  [`${VECTORS}/conversations.json`]: conversationVectors,
  [`${VECTORS}/guest.json`]: guestVectors,
  [`${VECTORS}/malformed-guest.json`]: malformedGuestVectors,
}

/** Every generated file with its present state. `read` gives a file's text, or undefined when it is absent. */
export function outputs(read: (path: string) => string | undefined): readonly Output[] {
  return [...Object.entries(WHOLE_FILES).map(([path, make]) => output(path, make(), read(path))), specOutput(read), ...generations(read)]
}

function specOutput(read: (path: string) => string | undefined): Output {
  const present = read(SPEC)
  if (present === undefined) throw new Error(`${SPEC} is missing: only its tables are generated`)
  return output(SPEC, spec(present), present)
}

/** A generation's schema is written once; from then on it is compared, never renewed. */
function generations(read: (path: string) => string | undefined): readonly Output[] {
  return Array.from({ length: GENERATION }, (_, i) => {
    const path = `${VECTORS}/generation-${i + 1}.json`
    const present = read(path)
    const made = output(path, generationSchema(i + 1), present)
    return made.state === 'stale' && present !== undefined ? { ...made, state: 'frozen' as const } : made
  })
}

function output(path: string, text: string, present: string | undefined): Output {
  return { path, text, state: present === text ? 'fresh' : 'stale' }
}
