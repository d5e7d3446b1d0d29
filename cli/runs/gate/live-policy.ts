import { patternRules } from '@authority/kernel/capability'
import type { Policy, PolicyVerdict } from '@authority/kernel/policy'
import type { Question } from '@authority/kernel/vocabulary'

/** The policy of a run as the stages hold it: each decision is the present one's. A policy itself never changes; another takes its place. */
export class LivePolicy implements Policy {
  /** One map for the whole run, refilled: who looks a name up holds on to it. */
  readonly hosts = new Map<string, string>()
  private current: Policy
  private allowed: ReturnType<typeof patternRules>

  constructor(policy: Policy) {
    this.current = policy
    this.allowed = patternRules(policy.grants)
    this.fillHosts()
  }

  /** For the run's own capability: what the present policy could allow. */
  readonly rules: ReturnType<typeof patternRules> = { allows: (question) => this.allowed.allows(question) }

  /** Takes effect with the next decision. Throws before anything has changed. */
  replace(policy: Policy): void {
    const allowed = patternRules(policy.grants)
    this.current = policy
    this.allowed = allowed
    this.fillHosts()
  }

  get id(): string {
    return this.current.id
  }

  get source(): string {
    return this.current.source
  }

  get budgets(): Policy['budgets'] {
    return this.current.budgets
  }

  get grants(): Policy['grants'] {
    return this.current.grants
  }

  get askTimeoutMs(): number {
    return this.current.askTimeoutMs
  }

  decide(question: Question): PolicyVerdict {
    return this.current.decide(question)
  }

  decideImage(question: Question): PolicyVerdict {
    return this.current.decideImage(question)
  }

  mayResolve(name: string): boolean {
    return this.current.mayResolve(name)
  }

  private fillHosts(): void {
    this.hosts.clear()
    for (const [name, address] of this.current.hosts) this.hosts.set(name, address)
  }
}
