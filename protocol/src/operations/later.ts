import { bytes, field as f, list, optional, text, uint } from '../schema.ts'
import type { OperationRows, Via } from './row.ts'

const S: readonly Via[] = ['session']

/** Declared, and answered with E_UNSUPPORTED until their issues. */
export const LATER_OPERATIONS = {
  'tool.call': {
    code: 0x0300,
    class: 'change',
    via: S,
    action: 'tools',
    args: [f('name', text(256), 'tool'), f('arguments', bytes(512 * 1024), 'opaque')],
    result: [f('result', bytes(512 * 1024), 'opaque')],
    doc: 'Calls a tool.',
  },
  'tool.list': {
    code: 0x0301,
    class: 'look',
    via: S,
    action: 'tools',
    args: [],
    result: [f('names', list(text(256), 1024), 'tools')],
    doc: 'Lists the tools some rule allows.',
  },
  'infer.chat': {
    code: 0x0400,
    class: 'change',
    via: S,
    action: 'infer',
    args: [f('model', text(256), 'model'), f('body', bytes(512 * 1024), 'request in the caller’s dialect')],
    result: [f('status', uint(999), 'HTTP status'), f('stream', uint(0xffffffff), 'the answer')],
    doc: 'Asks a model.',
  },
  'infer.models': {
    code: 0x0401,
    class: 'look',
    via: S,
    action: 'infer',
    args: [],
    result: [f('names', list(text(256), 1024), 'models')],
    doc: 'Lists the models some rule allows.',
  },
  'state.get': {
    code: 0x0500,
    class: 'look',
    via: S,
    action: null,
    args: [f('key', text(1024), 'key')],
    result: [f('value', optional(bytes(512 * 1024)), 'opaque')],
    doc: 'Reads saved state.',
  },
  'state.put': {
    code: 0x0501,
    class: 'change',
    via: S,
    action: null,
    args: [f('key', text(1024), 'key'), f('value', bytes(512 * 1024), 'opaque')],
    result: [],
    doc: 'Writes saved state.',
  },
  'agent.spawn': {
    code: 0x0600,
    class: 'change',
    via: S,
    action: null,
    args: [f('image', text(256), 'image'), f('arguments', bytes(64 * 1024), 'opaque')],
    result: [f('run', text(64), 'run id')],
    doc: 'Starts a child run in its own VM.',
  },
} as const satisfies OperationRows
