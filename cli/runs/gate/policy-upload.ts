import { MAX_INCLUDED_FILES, MAX_POLICY_BYTES } from '@authority/kernel/policy'
import { AuthorityError } from '@authority/protocol'

interface Part {
  readonly name: string
  readonly pieces: Uint8Array[]
  size: number
}

/** A policy that does not fit one message, piece by piece, until it is reloaded. One at a time: the first piece of the next takes its place. */
export class PolicyUpload {
  private source = ''
  private files: Part[] = []

  /** Throws E_CONFLICT for a piece that does not follow the last, E_FRAME_TOO_LARGE beyond what a policy may be. */
  add(source: string, name: string, offset: number, data: Uint8Array): void {
    if (name === '' && offset === 0) this.clear(source)
    const last = this.files.at(-1)
    const file = last?.name === name ? last : this.begin(source, name)
    if (source !== this.source || offset !== file.size)
      throw new AuthorityError('E_CONFLICT', 'a piece of the policy does not follow the last one')
    if (this.files.reduce((sum, { size }) => sum + size, data.length) > MAX_POLICY_BYTES)
      throw new AuthorityError('E_FRAME_TOO_LARGE', `a policy has at most ${MAX_POLICY_BYTES} bytes`)
    file.pieces.push(data)
    file.size += data.length
  }

  /** What was sent, in order, and forgets it. Throws E_CONFLICT when nothing was sent for this source. */
  take(source: string): (readonly [string, Uint8Array])[] {
    const files = source === this.source ? this.files : []
    this.clear('')
    if (files.length === 0) throw new AuthorityError('E_CONFLICT', 'no policy was sent')
    return files.map(({ name, pieces }) => [name, Buffer.concat(pieces)])
  }

  private begin(source: string, name: string): Part {
    if (source !== this.source || this.files.length > MAX_INCLUDED_FILES)
      throw new AuthorityError('E_CONFLICT', 'a piece of the policy does not follow the last one')
    const file: Part = { name, pieces: [], size: 0 }
    this.files.push(file)
    return file
  }

  private clear(source: string): void {
    this.source = source
    this.files = []
  }
}
