import { MAX_PATH_BYTES } from '../limits.ts'
import { bool, field as f, text } from '../schema.ts'
import type { OperationRows } from './row.ts'

const path = f('path', text(MAX_PATH_BYTES), 'absolute path as the agent sees it')

/** What init asks for the guest kernel: guest-claimed. */
export const GUEST_OPERATIONS = {
  'image.open': {
    code: 0x0700,
    class: 'look',
    via: ['init'],
    action: 'fs.read',
    args: [path, f('exec', bool, 'opened to be executed')],
    result: [],
    doc: 'First opening of an image file (fanotify); guest-claimed.',
  },
  'scratch.mount': {
    code: 0x0701,
    class: 'look',
    via: ['init'],
    action: 'fs.write',
    args: [path],
    result: [],
    doc: 'A scratch file system in the guest; guest-claimed.',
  },
} as const satisfies OperationRows
