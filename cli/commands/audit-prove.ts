import { resolve } from 'node:path'
import { proveRecord, proveSince } from '@authority/kernel/audit'
import { parseCount } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'
import type { Command } from './index.ts'
import { findLog, readNamed } from './shared.ts'
import type { AUDIT_PROVE } from './verbs-audit.ts'
import { writeNew } from './write-new.ts'

export const command: Command<typeof AUDIT_PROVE> = async ({ flags, positionals }, context) => {
  const [log, seq] = positionals
  if ((seq === undefined) === (flags.since === undefined))
    throw new CliError('usage', 'a proof is about a record or about an earlier checkpoint', 'give SEQ, or --since CHECKPOINT')
  const { path } = await findLog(log ?? '', context)
  const proof = seq === undefined ? since(path, flags.since ?? '', context.cwd) : inclusion(path, parseCount(seq))
  if (flags.output !== undefined) writeNew(resolve(context.cwd, flags.output), proof.text)
  if (flags.json) context.terminal.json(proof)
  else if (flags.output === undefined) context.terminal.raw(Buffer.from(proof.text))
  return 0
}

type Proof = { readonly text: string } & Readonly<Record<string, unknown>>
const base64 = (hashes: readonly Uint8Array[]): string[] => hashes.map((hash) => Buffer.from(hash).toString('base64'))

function inclusion(path: string, seq: number): Proof {
  const { text, leaf, hashes, record, head } = proveRecord(path, seq)
  return {
    index: seq,
    size: head.checkpoint.size,
    leaf: Buffer.from(leaf).toString('base64'),
    hashes: base64(hashes),
    record: JSON.parse(new TextDecoder().decode(record)),
    checkpoint: head.note,
    text,
  }
}

function since(path: string, file: string, cwd: string): Proof {
  const note = new TextDecoder().decode(readNamed(resolve(cwd, file), 'the checkpoint'))
  const { text, since, hashes, head } = proveSince(path, note)
  return { old: since.size, size: head.checkpoint.size, hashes: base64(hashes), checkpoint: head.note, text }
}
