import type { AdmitPipeline } from '@authority/kernel/gate'
import type { OpenQuestion, OpenVerdict } from '@authority/kernel/guest'
import { AuthorityError } from '@authority/protocol'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** First openings of image files, asked by init: decided by policy, counted as looks, recorded as guest-claimed. */
export function imageOpens(pipeline: AdmitPipeline): (question: OpenQuestion) => OpenVerdict {
  return (question) => {
    try {
      decide(pipeline, question)
      // A name that shares its inode with another must be asked each time: the guest's cache knows inodes, policy knows names.
      return { allow: true, cacheable: question.nlink === 1 }
    } catch (error) {
      if (error instanceof AuthorityError) return { allow: false, cacheable: false }
      throw error
    }
  }
}

function decide(pipeline: AdmitPipeline, question: OpenQuestion): void {
  const path = utf8.decode(question.path)
  const asked = { action: 'fs.read', object: path } as const
  void pipeline.look({
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
