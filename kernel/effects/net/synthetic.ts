import { MAX_SYNTHETIC_NAMES } from './limits.ts'

/** First address of the benchmarking range 198.18.0.0/15 (RFC 2544), which stands for nobody on the Internet. */
const FIRST = (198 << 24) | (18 << 16)

/** Stand-in addresses for names, so that a program that resolves before it connects still connects to a name. One table per run. */
export class SyntheticAddresses {
  private readonly byName = new Map<string, string>()
  private readonly byAddress = new Map<string, string>()

  /** The address that stands for a name in this run, or undefined when the range is used up. */
  addressOf(name: string): string | undefined {
    const known = this.byName.get(name)
    if (known !== undefined) return known
    if (this.byName.size >= MAX_SYNTHETIC_NAMES) return undefined
    const value = (FIRST + this.byName.size + 1) >>> 0
    const address = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.')
    this.byName.set(name, address)
    this.byAddress.set(address, name)
    return address
  }

  nameOf(address: string): string | undefined {
    return this.byAddress.get(address)
  }
}
