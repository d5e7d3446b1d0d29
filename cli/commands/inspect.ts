import { createHash } from 'node:crypto'
import { ImageStore, imageTotals, imageTree, type OpenImage, readImagePolicy, readManifest, type TreeLine } from '../image/index.ts'
import { CliError } from '../runs/errors.ts'
import { TerminalFilter } from '../runs/gate/terminal-filter.ts'
import type { Terminal } from '../ui/terminal.ts'
import { columns, count, safe } from '../ui/text.ts'
import { formatBytes } from '../ui/units.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { INSPECT } from './verbs.ts'

/** Bytes of one file `--cat` loads. */
const MAX_CAT_BYTES = 64 * 1024 * 1024

export const command: Command<typeof INSPECT> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const views = [flags.tree, flags.cat !== undefined, flags.policy].filter(Boolean).length
  if (views > 1) throw new CliError('usage', '--tree, --cat and --policy exclude each other', 'give one of them')
  const image = new ImageStore(homeOf(context).images).open(positionals[0] ?? '')
  try {
    if (flags.tree) showTree(image, flags.json, terminal)
    else if (flags.cat !== undefined) showFile(image, flags.cat, terminal)
    else if (flags.policy) showOwnPolicy(image, flags.json, terminal)
    else showSummary(image, flags.json, terminal)
  } finally {
    image.close()
  }
  return 0
}

function showTree(image: OpenImage, json: boolean, terminal: Terminal): void {
  for (const line of imageTree(image.reader)) {
    if (json) terminal.json(line)
    else terminal.out(treeText(line))
  }
}

function treeText({ path, kind, mode, size, target }: TreeLine): string {
  const name = `${safe(path)}${target === undefined ? '' : ` -> ${safe(target)}`}`
  return `${kind.padEnd(7)}  ${(mode & 0o7777).toString(8).padStart(4, '0')}  ${String(size).padStart(10)}  ${name}`
}

/** To a terminal the file's control characters are shown, not obeyed: an image may be anybody's. */
function showFile(image: OpenImage, path: string, terminal: Terminal): void {
  const bytes = image.reader.readFile(path, MAX_CAT_BYTES)
  terminal.raw(terminal.isTty.out ? new TerminalFilter().pass(bytes) : bytes)
}

function showOwnPolicy(image: OpenImage, json: boolean, terminal: Terminal): void {
  const bytes = readImagePolicy(image.reader)
  const id = bytes === undefined ? null : createHash('sha256').update(bytes).digest('hex')
  if (json) terminal.json({ id, policy: bytes?.toString() ?? null })
  else if (bytes === undefined) terminal.note('authority: the image asks for no policy')
  else {
    terminal.raw(terminal.isTty.out ? new TerminalFilter().pass(bytes) : bytes)
    terminal.note(`authority: policy ${id}`)
  }
}

function showSummary(image: OpenImage, json: boolean, terminal: Terminal): void {
  const manifest = readManifest(image.reader)
  const totals = imageTotals(image.reader)
  const policy = readImagePolicy(image.reader)
  const policyId = policy === undefined ? null : createHash('sha256').update(policy).digest('hex')
  if (json) {
    terminal.json({ manifest, totals, policy: policyId, path: image.path, sha256: image.sha256, size: image.size })
    return
  }
  const rows = [
    ['image', `${safe(manifest.name)} (${manifest.kind}, ${manifest.arch})`],
    ['starts', manifest.argv.map((word) => JSON.stringify(safe(word))).join(' ')],
    ['in', safe(manifest.cwd)],
    [
      'environment',
      Object.entries(manifest.env)
        .map(([name, value]) => safe(`${name}=${value}`))
        .join(' '),
    ],
    ['profiles', manifest.profiles.map(safe).join(', ')],
    ['policy', policyId ?? 'asks for none'],
    [
      'content',
      `${count(totals.files, 'file')}, ${count(totals.dirs, 'folder')}, ${count(totals.symlinks, 'symlink')}, ${formatBytes(totals.bytes)}`,
    ],
    ['packages', manifest.packages.length === 0 ? 'none' : manifest.packages.map(safe).join(', ')],
    ['built by', `authority ${safe(manifest.authority)}`],
    ['file', `${safe(image.path)} (${formatBytes(image.size)})`],
    ['sha256', image.sha256],
  ]
  for (const line of columns(rows)) terminal.out(line)
}
