import type { Gate } from '@authority/kernel/gate'
import type { OpenQuestion, OpenVerdict } from '@authority/kernel/guest'
import { AuthorityError } from '@authority/protocol'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** First openings of image files, asked by init: decided by policy, counted as looks, recorded as guest-claimed. `onDenied` is told each path refused. */
export function imageOpens(
  gate: Pick<Gate, 'look'>,
  onDenied: (path: string) => void,
): (question: OpenQuestion) => OpenVerdict | Promise<OpenVerdict> {
  return (question) => {
    const denied = (error: unknown): OpenVerdict => {
      if (!(error instanceof AuthorityError)) throw error
      onDenied(new TextDecoder().decode(question.path))
      return { allow: false, cacheable: false }
    }
    // A name that shares its inode with another must be asked each time: the guest's cache knows inodes, policy knows names.
    const allowed: OpenVerdict = { allow: true, cacheable: question.nlink === 1 }
    try {
      const asked = decide(gate, question)
      return asked instanceof Promise ? asked.then(() => allowed, denied) : allowed
    } catch (error) {
      return denied(error)
    }
  }
}

function decide(gate: Pick<Gate, 'look'>, question: OpenQuestion): unknown {
  const path = utf8.decode(question.path)
  const asked = { action: 'fs.read', object: path } as const
  return gate.look({
    operation: 'image.open',
    subject: { session: 'init', via: 'init', pid: question.pid },
    handle: 0,
    effect: {
      requested: [asked],
      requestedText: path,
      resolve: () => ({ questions: [asked], object: path }),
      worstCase: () => ({}),
      execute: () => ({ result: [] }),
      release: () => undefined,
    },
  })
}
