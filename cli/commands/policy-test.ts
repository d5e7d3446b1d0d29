import { resolve } from 'node:path'
import { readCases, runCases } from '@authority/kernel/policy'
import { count, safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import { readNamed } from './shared.ts'
import type { POLICY_TEST } from './verbs.ts'

const DEFAULT_POLICY = 'policy.json'
const EXIT_FAILED = 1

export const command: Command<typeof POLICY_TEST> = async ({ flags, positionals }, { cwd, terminal }) => {
  const file = positionals[0] ?? ''
  const policy = policyOfFile(flags.policy ?? DEFAULT_POLICY, flags.host, cwd).loaded
  const report = runCases(policy, readCases(readNamed(resolve(cwd, file), 'the cases'), file))
  if (flags.json) terminal.json(report)
  else {
    for (const { ok, expected, got, question, line, rule, by, reason } of report.results) {
      if (ok) continue
      const wanted = rule === null ? expected : `${expected} by ${rule}`
      terminal.out(
        `${safe(file)}:${line}: ${question.action} ${safe(question.object)}: expected ${safe(wanted)}, got ${got}${by === null ? '' : ` by ${safe(by)}`}`,
      )
      terminal.out(`  ${safe(reason)}`)
    }
    for (const { origin, text } of report.uncovered) terminal.out(`not covered: ${safe(origin)} ${safe(text)}`)
    const covered = report.rules - report.uncovered.length
    terminal.out(`${count(report.results.length, 'case')}, ${report.failed} failed; ${covered} of ${count(report.rules, 'rule')} covered`)
  }
  return report.failed === 0 ? 0 : EXIT_FAILED
}
