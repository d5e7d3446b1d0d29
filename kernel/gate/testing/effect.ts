import type { EffectResult, Permit, PreparedEffect, ResolvedObject } from '../../effects/contract.ts'
import type { Charges, Dimension, Question } from '../../vocabulary/index.ts'

export interface TestEffectOptions {
  /** As the agent named it; /work/a is allowed, /etc/x is not. */
  readonly path?: string
  readonly action?: 'fs.read' | 'fs.write'
  /** Where the path really leads. */
  readonly real?: string
  readonly requested?: readonly Question[]
  readonly charges?: Charges | ((available: (dimension: Dimension) => number) => Charges)
  readonly resolve?: (object: ResolvedObject) => Promise<ResolvedObject> | ResolvedObject
  readonly execute?: (permit: Permit) => Promise<EffectResult> | EffectResult
}

/** An effect whose only side effect is that it says so. */
export class TestEffect implements PreparedEffect {
  readonly requested: readonly Question[]
  readonly requestedText: string
  happened = 0
  releases = 0
  /** Whether it was let go of while it ran. */
  releasedWhileRunning = false
  private running = 0
  private readonly trace: string[]
  private readonly options: TestEffectOptions

  constructor(trace: string[], options: TestEffectOptions) {
    const { path = '/work/a', action = 'fs.read' } = options
    this.trace = trace
    this.options = options
    this.requestedText = path
    this.requested = options.requested ?? [{ action, object: path }]
  }

  resolve(): Promise<ResolvedObject> | ResolvedObject {
    this.trace.push('resolve')
    const { real = this.requestedText, action = 'fs.read', resolve = (object) => object } = this.options
    return resolve({ questions: [{ action, object: real }], object: real })
  }

  worstCase(available: (dimension: Dimension) => number): Charges {
    const { charges = {} } = this.options
    const worst = typeof charges === 'function' ? charges(available) : charges
    // Unless it says otherwise it reads.
    return worst.bytes === undefined ? worst : { bytes_in: worst.bytes, ...worst }
  }

  async execute(permit: Permit): Promise<EffectResult> {
    this.happened += 1
    this.running += 1
    this.trace.push('execute')
    try {
      return (await this.options.execute?.(permit)) ?? { result: [] }
    } finally {
      this.running -= 1
    }
  }

  release(): void {
    this.releases += 1
    if (this.running > 0) this.releasedWhileRunning = true
    this.trace.push('release')
  }
}
