// Where the pinned tools stand once set-up has run. Plain Node, no dependencies: it runs before anything is installed.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
export const CACHE = join(ROOT, '.cache')
export const BUN_VERSION = '1.4.5'

const BUN_PACKAGES = {
  'linux-x64': 'bun-linux-x64',
  'linux-arm64': 'bun-linux-aarch64',
  'darwin-x64': 'bun-darwin-x64',
  'darwin-arm64': 'bun-darwin-aarch64',
}
const platform = `${process.platform}-${process.arch}`
export const BUN_PACKAGE = BUN_PACKAGES[platform]
export const BUN = join(CACHE, 'bun', 'node_modules', '@oven', BUN_PACKAGE ?? 'none', 'bin', 'bun')
export const VENV = join(CACHE, 'venv')
export const PYTHON = join(VENV, 'bin', 'python')

const GUEST_QEMU = process.arch === 'arm64' ? 'qemu-system-arm' : 'qemu-system-x86'

/** Debian packages by what needs them; each entry says why it is there. */
export const DEBIAN_PACKAGES = {
  run: [GUEST_QEMU /* the virtual machine */, 'xz-utils' /* kernel modules and vmlinux */],
  build: ['musl-tools' /* static init and cell */, 'gcc', 'libc6-dev', 'linux-libc-dev' /* kernel headers for them */],
  test: [
    'erofs-utils' /* oracle for the image writer */,
    'strace' /* fault injection */,
    'libfuse3-dev' /* the file system whose power can be cut */,
    'fuse3' /* to unmount it without root */,
    'python3' /* Python SDK */,
    'python3-venv' /* its test environment */,
    'git' /* fresh clones and version stamps */,
    'openssl' /* certificates of the network tests */,
    'curl' /* programs that know nothing of us */,
    'wget',
    'golang-go' /* another resolver and another TLS than everybody's */,
    'iproute2' /* a network of their own for hostile resolvers */,
    'rsync' /* programs that are run on a mount */,
    'ripgrep',
    'vim-tiny',
  ],
  conformance: ['cargo' /* suites of others, built by a campaign */],
}

/** Which groups each npm script needs. */
export const NEEDS = {
  build: { debian: ['build'], python: false },
  check: { debian: [], python: false },
  demo: { debian: ['run', 'build'], python: false },
  test: { debian: ['run', 'build', 'test'], python: true },
  conformance: { debian: ['run', 'build', 'test', 'conformance'], python: true },
}
