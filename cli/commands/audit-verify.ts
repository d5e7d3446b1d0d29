import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { TRUST_LEVELS, type Verdict, verifyRun } from '@authority/kernel/audit'
import type { Terminal } from '../ui/terminal.ts'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { findLog, oneOf, readNamed } from './shared.ts'
import type { AUDIT_VERIFY } from './verbs.ts'

export const command: Command<typeof AUDIT_VERIFY> = async ({ flags, positionals }, context) => {
  const { cwd, terminal } = context
  const log = await findLog(positionals[0] ?? '', context)
  const installation = flags.installation === undefined ? log.installation : resolve(cwd, flags.installation)
  const verdict = await verifyRun(log.path, {
    installation,
    ...(log.run === null ? {} : { run: log.run }),
    ...(flags.key === undefined ? {} : { key: keyText(flags.key, cwd) }),
    anchors: flags.anchor.map((path) => new TextDecoder().decode(readNamed(resolve(cwd, path), 'the checkpoint'))),
    witnesses: flags.witness.map((given) => keyText(given, cwd)),
    ...(flags.require === undefined ? {} : { require: oneOf('require', flags.require, TRUST_LEVELS) }),
  })
  if (flags.json) terminal.json(verdict)
  else print(verdict, terminal)
  return verdict.exitCode
}

/** The key itself (`NAME+HASH+BASE64`), or a file that holds it. */
function keyText(given: string, cwd: string): string {
  const path = resolve(cwd, given)
  if (!existsSync(path) && /^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/.test(given)) return given
  return new TextDecoder().decode(readNamed(path, 'the key')).trimEnd()
}

const HEADLINE: Readonly<Record<Verdict['status'], string>> = {
  intact: 'intact and sealed',
  tampered: 'TAMPERED',
  recovered: 'intact; its tail was recovered after a crash',
  unsealed: 'intact so far, but not sealed',
  unreadable: 'cannot be read',
}

function print(verdict: Verdict, terminal: Terminal): void {
  const { style } = terminal
  const good = verdict.status === 'intact' || verdict.status === 'recovered'
  const line = (text: string): void => terminal.out(safe(text))
  terminal.out(`${(good ? style.green : style.red)(HEADLINE[verdict.status])}: ${safe(verdict.path)}`)
  for (const { message, file, offset, seq } of verdict.findings) {
    const place = [file === verdict.path ? null : file, offset === null ? null : `byte ${offset}`, seq === null ? null : `record ${seq}`]
    line(`  ${message}${place.some((part) => part !== null) ? ` (${place.filter((part) => part !== null).join(', ')})` : ''}`)
  }
  if (verdict.status === 'tampered' || verdict.status === 'unreadable') return
  if (verdict.kind === 'installation') line(`log of the installation: ${verdict.records} records`)
  else
    line(
      `run ${verdict.run ?? 'unknown'}: ${verdict.records} records, ${verdict.effects} effects, ${verdict.denials} denials, ended by ${verdict.endedBy ?? 'nothing yet'}`,
    )
  if (verdict.unknownOutcomes > 0) line(`${verdict.unknownOutcomes} effects have an unknown outcome and are charged in full`)
  line(`trust basis: ${verdict.trust}${verdict.trustMet ? '' : ', which is less than --require asks'}`)
  for (const sentence of verdict.proved) line(`  proved: ${sentence}`)
  for (const sentence of verdict.notExcluded) line(`  not excluded: ${sentence}`)
  for (const sentence of verdict.warnings) line(`  odd: ${sentence}`)
}
