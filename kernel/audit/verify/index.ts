/** `authority audit verify`: streams a log once, in bounded memory, and says what it proved. Shares no code with what wrote the log. */
import { join } from 'node:path'
import { Anchors } from './anchors.ts'
import { readWitness, type Witness } from './cosignature.ts'
import { Input, isFolder, readSmall } from './input.ts'
import { type KeyChain, loadChain } from './key-chain.ts'
import { HEADER, MAX_KEY, MAX_SEGMENT } from './limits.ts'
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
  /** The folder holds the installation's own log. */
  installationLog: boolean
}

/** Never throws for what is in the log; the verdict says it. */
export function verifyRun(path: string, options: VerifyOptions = {}): Promise<Verdict> {
  const inquiry: Inquiry = {
    path,
    options,
    walk: null,
    key: null,
    records: new RunRecords(),
    noted: null,
    anchors: null,
    installationLog: false,
  }
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
  const known = loadChain(path)
  const { origin, logId } = headerOf(path)
  if (origin?.endsWith('/installation')) return investigateInstallation(inquiry, known)
  const key = keyOf(path, known, options)
  inquiry.key = key
  inquiry.anchors = new Anchors(options.anchors ?? [], [key], (options.witnesses ?? []).map(witnessOf))
  // The notes are opened before the log: whatever they say is in the log by then, also while a gate still writes it.
  const run = options.run ?? logId
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
  if (walk.segments === 0 && walk.checkpoints === 0 && !inquiry.noted?.opened) throw new Unreadable('there is no segment here', path)
  inquiry.noted?.finish(walk.tree.size)
  if ((inquiry.noted?.adjustments.count ?? 0) > 0) inquiry.noted?.adjustments.prove(new Walk(path, [key]), walk.tree.root())
  inquiry.anchors.finish(walk.origin, walk.tree.size)
}

/** The log of the runs themselves: it is proved whole, and what it says of each run. */
function investigateInstallation(inquiry: Inquiry, { keys, current }: KeyChain): void {
  const { path, options } = inquiry
  if (options.run !== undefined) throw new Tampered(`this is the log of the installation, not of run ${options.run}`, path)
  if (options.key !== undefined && !keys.some(({ text }) => text === options.key?.trim()))
    throw new Tampered('the log is signed with another key than the one given', join(path, 'key.pub'))
  const anchors = new Anchors(options.anchors ?? [], keys, (options.witnesses ?? []).map(witnessOf))
  const onRecord = (walk: Walk): void => anchors.at(walk.origin, walk.tree.size, () => walk.tree.root())
  Object.assign(inquiry, { key: current, anchors, installationLog: true })
  const noted = new NotedRun(path, null, null, onRecord)
  Object.assign(inquiry, { noted, walk: noted.walk })
  noted.readAll()
  anchors.finish(noted.walk.origin, noted.walk.tree.size)
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

function keyOf(path: string, { keys, current }: KeyChain, { key: pinned, installation }: VerifyOptions): PublicKey {
  const file = join(path, 'key.pub')
  if (keys.at(-1)?.text !== current.text) throw new Tampered('key.pub is not the last key of key.chain', file)
  // A later key vouches for the one before it too: it signed the certificate, which the installation keeps.
  const known = (): readonly PublicKey[] => (installation ? [...keys, ...loadChain(installation).keys] : keys)
  if (pinned !== undefined && !known().some(({ text }) => text === pinned.trim()))
    throw new Tampered('the log is signed with another key than the one given', file)
  return current
}

/** What the first segment says it is of, before anything is proved: only to know what to look for. */
function headerOf(path: string): { readonly origin: string | null; readonly logId: string | null } {
  const input = Input.open(join(path, 'seg-00000000.log'), MAX_SEGMENT)
  try {
    const header = input?.view(0, HEADER)
    if (header?.length !== HEADER) return { origin: null, logId: null }
    return { origin: header.toString('utf8', 154, 154 + (header[153] as number)), logId: header.toString('hex', 24, 40) }
  } finally {
    input?.close()
  }
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

function statusOf({ walk, records, noted, path, installationLog }: Inquiry): [Status, Finding[]] {
  const open = (message: string): [Status, Finding[]] => ['unsealed', [{ message, file: path, offset: null, seq: null }]]
  if (!walk || walk.tree.size === 0) return open('the log holds no record')
  // What contradicts the installation log is damage, whatever else the end lacks.
  if (!installationLog && noted !== null && noted.sealedSize !== null) checkEnd(noted, walk, records)
  if (walk.tail === 'torn' || walk.checkpointTailBytes > 0)
    return open(
      `the log ends in ${walk.tailBytes + walk.checkpointTailBytes} bytes of an unfinished write: the gate died, and nothing has recovered the run yet`,
    )
  if (installationLog) {
    // It never ends: whole is what is signed to its last record.
    if (!walk.covered) return open('the last record was never signed')
    return noted?.recovered ? ['recovered', []] : ['intact', []]
  }
  if (records.endedBy === null) return open('the run has not ended, or its gate died: there is no RUN_END')
  if (!walk.covered) return open('the end of the run was never signed')
  if (walk.tail !== 'exact' || walk.inLastSegment === 0) return open('the log does not end with its last record: sealing did not finish')
  if (noted && !noted.opened) throw new Tampered('the installation log does not know this run')
  if (noted && noted.sealedSize === null) return open('the installation log does not know that this run was sealed')
  return records.recovered
    ? [
        'recovered',
        [{ message: 'the gate died during this run; what was unknown is charged in full', file: path, offset: null, seq: null }],
      ]
    : ['intact', []]
}

/** RUN_SEALED stands for the log's own end, and the run used no more of the shared budget than was leased to it. */
function checkEnd({ sealedSize, leased }: NotedRun, walk: Walk, records: RunRecords): void {
  if (sealedSize !== walk.tree.size)
    throw new Tampered(`the installation log says the run was sealed with ${sealedSize} records, and there are ${walk.tree.size}`)
  for (const [dimension, amount] of Object.entries(records.leased))
    if (amount > (leased.get(dimension) ?? 0))
      throw new Tampered(
        `the run says that ${amount} ${dimension} of the shared budget were leased to it, and the installation log does not`,
      )
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
    kind: inquiry.installationLog ? 'installation' : 'run',
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

function provedOf({ records, noted, anchors, installationLog }: Inquiry, walk: Walk): string[] {
  const { effects } = records
  const remembered = anchors && anchors.used > 0 ? [`the log continues ${anchors.used} remembered checkpoint(s)`] : []
  const whole = [
    `${walk.tree.size} records in ${walk.segments} segments follow each other without a gap (checksums, hash chain, segment hashes)`,
    `${walk.checkpoints} checkpoints signed by the key agree with the tree of the records${walk.covered ? ', the last one covers them all' : ''}`,
  ]
  if (installationLog)
    return [
      ...whole,
      `what is noted of each of ${noted?.runs ?? 0} runs grows until it is sealed, and the budget they share held after every lease`,
      ...remembered,
    ]
  return [
    ...whole,
    `each of ${effects.intents} effects was announced before its outcome${effects.open > 0 ? `; ${effects.open} have none yet` : ', and each has one'}`,
    ...(effects.limits > 0 ? [`captured + reserved stayed within each of ${effects.limits} limits after every record`] : []),
    ...(noted && noted.adjustments.count > 0
      ? [`each of ${noted.adjustments.count} adjustments takes back only what was charged without being known to be used`]
      : []),
    ...(noted ? [`the installation log (${noted.walk.tree.size} records) agrees at each of ${noted.entries} sizes it noted`] : []),
    ...remembered,
  ]
}

function notExcludedOf({ noted, records, installationLog }: Inquiry, trust: Trust): string[] {
  return [
    ...(trust === 'remembered-checkpoint' || trust === 'witnessed'
      ? ['records after the last remembered checkpoint were written anew by the holder of the key']
      : [
          'the whole history was written anew, or cut, by the holder of the installation key: only a checkpoint remembered elsewhere can show that',
        ]),
    ...(trust === 'self-attested' ? ['the key itself is not the one you think: compare it with one you got another way'] : []),
    ...(noted ? [] : ['the log was cut to an earlier state: the installation log was not consulted']),
    ...(records.effects.limits === 0 && !installationLog ? ['no limit stands in the first record: there was no budget to prove'] : []),
  ]
}
