/** `authority audit verify`: streams a log once, in bounded memory, and says what it proved. Shares no code with what wrote the log. */
import { join } from 'node:path'
import { Anchors } from './anchors.ts'
import { readWitness, type Witness } from './cosignature.ts'
import { isFolder, readSmall } from './input.ts'
import { loadChain } from './key-chain.ts'
import { MAX_KEY } from './limits.ts'
import { Walk } from './log-reader.ts'
import { NotedRun } from './noted.ts'
import { type PublicKey, sha256 } from './primitives.ts'
import { RunRecords } from './run-records.ts'
import { EXIT_CODES, type Finding, type Status, Tampered, TRUST_LEVELS, type Trust, Unreadable, type Verdict } from './verdict.ts'

export type { Finding, Status, Trust, Verdict } from './verdict.ts'
export { EXIT_CODES, TRUST_LEVELS } from './verdict.ts'

export interface VerifyOptions {
  /** Folder of the installation log (HOME/installation); null or absent: only the run's own log is looked at. */
  readonly installation?: string | null
  /** A verifier key (`name+hash+base64`) known from elsewhere. Another key is tampering. */
  readonly key?: string
  /** Checkpoints of this log that the verifier remembered, each a whole signed note. */
  readonly anchors?: readonly string[]
  /** Keys of witnesses (`name+hash+base64(0x04 ‖ key)`): an anchor that one of them cosigned makes the trust `witnessed`. */
  readonly witnesses?: readonly string[]
  /** The run this log must be of, 32 hex digits. */
  readonly run?: string
  /** The weakest trust that will do; less answers exit code 3 at best. */
  readonly require?: Trust
}

interface Inquiry {
  readonly path: string
  readonly options: VerifyOptions
  walk: Walk | null
  key: PublicKey | null
  records: RunRecords
  noted: NotedRun | null
  anchors: Anchors | null
}

/** Never throws for what is in the log; the verdict says it. */
export function verifyRun(path: string, options: VerifyOptions = {}): Promise<Verdict> {
  const inquiry: Inquiry = { path, options, walk: null, key: null, records: new RunRecords(), noted: null, anchors: null }
  try {
    investigate(inquiry)
    return Promise.resolve(conclude(inquiry, ...statusOf(inquiry)))
  } catch (error) {
    if (error instanceof Tampered) return Promise.resolve(conclude(inquiry, 'tampered', [error.finding]))
    if (error instanceof Unreadable) return Promise.resolve(conclude(inquiry, 'unreadable', [error.finding]))
    return Promise.reject(error)
  } finally {
    inquiry.noted?.close()
  }
}

function investigate(inquiry: Inquiry): void {
  const { path, options } = inquiry
  if (!isFolder(path)) throw missing(options, path)
  const key = keyOf(path, options)
  inquiry.key = key
  inquiry.anchors = new Anchors(options.anchors ?? [], key, (options.witnesses ?? []).map(witnessOf))
  // The notes are opened before the log: whatever they say is in the log by then, also while a gate still writes it.
  const run = options.run ?? runOf(path, key)
  if (options.installation && run !== null) inquiry.noted = new NotedRun(options.installation, key, run)
  const walk = new Walk(path, [key])
  inquiry.walk = walk
  const root = (): string => walk.tree.root().toString('hex')
  const rootBytes = (): Buffer => walk.tree.root()
  const chain = (): string => walk.chain.toString('hex')
  for (const record of walk.records()) {
    inquiry.records.add(record, walk)
    if (record.seq === 0) checkIdentity(inquiry, walk, key)
    inquiry.noted?.at(walk.tree.size, root, chain)
    inquiry.anchors.at(walk.origin, walk.tree.size, rootBytes)
  }
  const tooLong = inquiry.records.recovered ? null : inquiry.records.effects.logBytesExceeded(walk.frameBytes)
  if (tooLong !== null) throw new Tampered(tooLong)
  inquiry.noted?.finish(walk.tree.size)
  inquiry.anchors.finish(walk.origin, walk.tree.size)
}

/** A log that is not there is tampering when the installation remembers it. */
function missing({ installation, run }: VerifyOptions, path: string): Error {
  if (installation && run !== undefined) {
    const noted = new NotedRun(installation, null, run)
    noted.readAll()
    noted.close()
    if (noted.opened && !noted.removed) return new Tampered('the installation log remembers this run, and its log is gone', path)
  }
  return new Unreadable('there is no audit log here', path)
}

function witnessOf(text: string): Witness {
  const witness = readWitness(text.trim())
  if (!witness) throw new Unreadable('the key of a witness is none: it has the form name+hash+base64 with type 4 (cosignature/v1)')
  return witness
}

function keyOf(path: string, { key: pinned, installation }: VerifyOptions): PublicKey {
  const { keys, current } = loadChain(path)
  const file = join(path, 'key.pub')
  if (keys.at(-1)?.text !== current.text) throw new Tampered('key.pub is not the last key of key.chain', file)
  // A later key vouches for the one before it too: it signed the certificate, which the installation keeps.
  const known = (): readonly PublicKey[] => (installation ? [...keys, ...loadChain(installation).keys] : keys)
  if (pinned !== undefined && !known().some(({ text }) => text === pinned.trim()))
    throw new Tampered('the log is signed with another key than the one given', file)
  return current
}

/** The run named in the header of the first segment, before anything is proved: only to know which notes to look for. */
function runOf(path: string, key: PublicKey): string | null {
  const walk = new Walk(path, [key])
  const records = walk.records()
  records.next()
  records.return()
  return walk.logId
}

function checkIdentity({ options, path, records }: Inquiry, walk: Walk, key: PublicKey): void {
  const { run, installation, start } = records
  const fail = (why: string): Tampered => new Tampered(why, null, null, 0)
  if (key.name !== `authority/${installation}`) throw fail('the installation is not the one its key belongs to')
  if (walk.origin !== `authority/${installation}/run/${run}` || walk.logId !== run)
    throw fail('the log says it is of another run than its first record')
  if (options.run !== undefined && options.run !== run) throw fail(`this is the log of run ${run}, not of ${options.run}`)
  const detail = start?.detail as { readonly [name: string]: unknown }
  if (detail.key !== key.text) throw fail('the first record names another key')
  const file = join(path, 'commitments.key')
  const secret = readSmall(file, MAX_KEY)
  if (secret && sha256(secret).toString('hex') !== detail.commitment_key)
    throw new Tampered('the commitment key is not the one the log began with', file)
}

function statusOf({ walk, records, noted, path }: Inquiry): [Status, Finding[]] {
  const open = (message: string): [Status, Finding[]] => ['unsealed', [{ message, file: path, offset: null, seq: null }]]
  if (!walk || walk.tree.size === 0) return open('the log holds no record')
  if (walk.tail === 'torn' || walk.checkpointTailBytes > 0)
    return open(
      `the log ends in ${walk.tailBytes + walk.checkpointTailBytes} bytes of an unfinished write: the gate died, and nothing has recovered the run yet`,
    )
  if (records.endedBy === null) return open('the run has not ended, or its gate died: there is no RUN_END')
  if (!walk.covered) return open('the end of the run was never signed')
  if (walk.tail !== 'exact') return open('the log was not trimmed: sealing did not finish')
  if (noted && !noted.opened) throw new Tampered('the installation log does not know this run')
  if (noted && !noted.sealed) return open('the installation log does not know that this run was sealed')
  return records.recovered
    ? [
        'recovered',
        [{ message: 'the gate died during this run; what was unknown is charged in full', file: path, offset: null, seq: null }],
      ]
    : ['intact', []]
}

function trustOf({ options, anchors }: Inquiry): Trust {
  if ((anchors?.witnessed ?? 0) > 0) return 'witnessed'
  if ((anchors?.used ?? 0) > 0) return 'remembered-checkpoint'
  return options.key === undefined ? 'self-attested' : 'pinned-key'
}

function conclude(inquiry: Inquiry, status: Status, findings: Finding[]): Verdict {
  const { walk, records, path, options, key } = inquiry
  const sound = status !== 'tampered' && status !== 'unreadable'
  const trust = sound ? trustOf(inquiry) : 'self-attested'
  const trustMet = TRUST_LEVELS.indexOf(trust) >= TRUST_LEVELS.indexOf(options.require ?? 'self-attested')
  const exitCode = trustMet || !sound ? EXIT_CODES[status] : EXIT_CODES.unsealed
  return {
    status,
    exitCode,
    path,
    trust,
    trustMet,
    origin: walk?.origin ?? null,
    run: records.run,
    key: key?.text ?? null,
    records: walk?.tree.size ?? 0,
    segments: walk?.segments ?? 0,
    checkpoints: walk?.checkpoints ?? 0,
    bytes: walk?.bytes ?? 0,
    root: sound ? (walk?.tree.root().toString('base64') ?? null) : null,
    endedBy: records.endedBy,
    effects: records.effects.intents,
    denials: records.denials,
    unknownOutcomes: records.effects.unknown,
    proved: sound && walk ? provedOf(inquiry, walk) : [],
    notExcluded: notExcludedOf(inquiry, trust),
    findings,
    warnings: records.warnings,
  }
}

function provedOf({ records, noted, anchors }: Inquiry, walk: Walk): string[] {
  const { effects } = records
  return [
    `${walk.tree.size} records in ${walk.segments} segments follow each other without a gap (checksums, hash chain, segment hashes)`,
    `${walk.checkpoints} checkpoints signed by the key agree with the tree of the records${walk.covered ? ', the last one covers them all' : ''}`,
    `each of ${effects.intents} effects was announced before its outcome${effects.open > 0 ? `; ${effects.open} have none yet` : ', and each has one'}`,
    ...(effects.limits > 0 ? [`captured + reserved stayed within each of ${effects.limits} limits after every record`] : []),
    ...(noted ? [`the installation log (${noted.walk.tree.size} records) agrees at each of ${noted.entries} sizes it noted`] : []),
    ...(anchors && anchors.used > 0 ? [`the log continues ${anchors.used} remembered checkpoint(s)`] : []),
  ]
}

function notExcludedOf({ noted, records }: Inquiry, trust: Trust): string[] {
  return [
    ...(trust === 'remembered-checkpoint' || trust === 'witnessed'
      ? ['records after the last remembered checkpoint were written anew by the holder of the key']
      : [
          'the whole history was written anew, or cut, by the holder of the installation key: only a checkpoint remembered elsewhere can show that',
        ]),
    ...(trust === 'self-attested' ? ['the key itself is not the one you think: compare it with one you got another way'] : []),
    ...(noted ? [] : ['the log was cut to an earlier state: the installation log was not consulted']),
    ...(records.effects.limits === 0 ? ['no limit stands in the first record: there was no budget to prove'] : []),
  ]
}
