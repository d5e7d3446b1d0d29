import { MAX_DEADLINE_MS, MAX_DNS_BYTES, MAX_HOST_BYTES } from '../limits.ts'
import { bool, bytes, field as f, list, optional, text, tuple, uint } from '../schema.ts'
import type { OperationRows, Via } from './row.ts'

const S: readonly Via[] = ['session']
const header = tuple(f('name', text(256), 'header name'), f('value', text(8192), 'header value'))

/** Names and connections. */
export const NET_OPERATIONS = {
  'net.dns': {
    code: 0x0200,
    class: 'look',
    via: ['session', 'init'],
    action: 'net.dns',
    args: [f('name', text(MAX_HOST_BYTES), 'host name')],
    result: [f('addresses', list(text(45), 16), 'synthetic addresses that stand for the name')],
    doc: 'Resolves a name some rule could allow; others do not exist, and no query leaves.',
  },
  'net.connect': {
    code: 0x0201,
    class: 'change',
    via: ['session', 'init'],
    action: 'net.connect',
    args: [f('host', text(MAX_HOST_BYTES), 'name or address'), f('port', uint(65535, 1), 'TCP port')],
    result: [f('stream', uint(0xffffffff), 'byte stream on this session'), f('address', text(64), 'the pinned address that was dialled')],
    doc: 'Opens a TCP connection to a vetted, pinned address.',
  },
  'net.fetch': {
    code: 0x0202,
    class: 'change',
    via: S,
    action: 'net.connect',
    args: [
      f('method', text(16), 'HTTP method'),
      f('url', text(8192), 'http or https'),
      f('headers', list(header, 128), 'request headers'),
      f('body', optional(bytes(512 * 1024)), 'request body, whole'),
      f('max_bytes', uint(), 'response body bytes at most; 0 is the gate’s own cap'),
      f('timeout_ms', uint(MAX_DEADLINE_MS), 'ms for the whole exchange; 0 is the gate’s own cap'),
      f('redirects', uint(10), 'redirects followed at most, each decided again and each one more of calls'),
      f(
        'body_stream',
        uint(0xffffffff),
        'from net.body, once: the request body is what its stream carries, and `body` null; 0: it is `body`',
      ),
      f('body_bytes', optional(uint()), 'bytes of that stream, sent as Content-Length; null: not known, sent in chunks'),
    ],
    result: [
      f('status', uint(999), 'HTTP status'),
      f('url', text(8192), 'where the answer came from'),
      f('headers', list(header, 256), 'response headers'),
      f('stream', uint(0xffffffff), 'the response body'),
    ],
    doc: 'HTTP(S) by the gate.',
  },
  'net.listen': {
    code: 0x0203,
    class: 'change',
    via: S,
    action: 'net.listen',
    args: [f('port', uint(65535, 1), 'guest port')],
    result: [f('listener', uint(0xffffffff), 'for net.accept and net.close'), f('address', text(64), 'where it is reached on the host')],
    doc: 'Listens on a port of the host: where the operator published the guest port, otherwise at the same number on 127.0.0.1.',
  },
  'net.query': {
    code: 0x0204,
    class: 'look',
    via: ['init'],
    action: 'net.dns',
    args: [
      f('packet', bytes(MAX_DNS_BYTES), 'a DNS query as a program in the guest sent it'),
      f('tcp', bool, 'the answer has room for 64 KiB'),
    ],
    result: [f('packet', bytes(MAX_DNS_BYTES), 'the DNS answer')],
    doc: 'Answers one DNS query of a program in the guest, as net.dns does: names no rule could allow do not exist, and no query leaves.',
  },
  'net.accept': {
    code: 0x0205,
    class: 'change',
    via: ['session', 'init'],
    action: 'net.listen',
    args: [f('listener', uint(0xffffffff), 'from net.listen; 0, for init: ports the operator published and no session listens on')],
    result: [
      f('port', uint(65535, 1), 'guest port it is for'),
      f('stream', uint(0xffffffff), 'byte stream on this session'),
      f('peer', text(64), 'address and port it came from'),
    ],
    doc: 'Waits for a connection from outside, as long as the request may; E_UNSUPPORTED for init when nothing is published.',
  },
  'net.close': {
    code: 0x0206,
    class: 'bytes',
    via: S,
    action: null,
    args: [f('listener', uint(0xffffffff), 'from net.listen')],
    result: [],
    doc: 'Stops listening; connections nobody accepted are closed, accepted ones go on.',
  },
  'net.body': {
    code: 0x0207,
    class: 'bytes',
    via: S,
    action: null,
    args: [],
    result: [f('body', uint(0xffffffff), 'for one net.fetch'), f('stream', uint(0xffffffff), 'what is written to it is the request body')],
    doc: 'Opens a stream for a request body. Nothing of it leaves before a net.fetch that names it was allowed and connected.',
  },
} as const satisfies OperationRows
