import { type BlockBody, encodeBlock, type Limits } from './blocks.ts'
import { rootChainValue } from './chain.ts'
import { unusable } from './errors.ts'
import { MAX_TIME_MS } from './limits.ts'
import type { Mac } from './mac.ts'
import { bytesBeforeTag, type Header, headerBytes, serialiseToken } from './token.ts'

/** A fresh open token: a header and its one grant. Throws E_CAP_INVALID for times or grants that cannot stand in a token. */
export function mintToken(
  mac: Mac,
  runKey: Uint8Array,
  header: Header,
  grant: Extract<BlockBody, Limits & { kind: 'grant' | 'run-grant' }>,
): string {
  const { notBefore, expires } = header
  for (const time of [notBefore, expires])
    if (!Number.isSafeInteger(time) || time < 0 || time > MAX_TIME_MS)
      throw unusable('a time is not a whole number of ms before the year 10000')
  if (notBefore >= expires) throw unusable('it would expire before it begins')
  const root = { headerBytes: headerBytes(header), blocks: [encodeBlock(grant)] }
  return serialiseToken({ ...root, tag: rootChainValue(mac, runKey, bytesBeforeTag(root)) })
}
