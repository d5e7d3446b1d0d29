/** The floor: the same runtime answering frames of the same size with no work at all. argv: SOCKET */
import { encodeMessage, LinkReader, MAX_FRAME_BYTES, MESSAGE } from '@authority/protocol'

const [path = ''] = process.argv.slice(2)
const welcome = encodeMessage(0, {
  type: MESSAGE.WELCOME,
  version: 1,
  generation: 1,
  run: '0',
  maxInFlight: 1,
  maxStreams: 1,
  streamCredit: 0,
  handle: 0,
})
const answer = encodeMessage(0, { type: MESSAGE.RESULT, id: 1, result: [] })
let first = true
const reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
Bun.listen({
  unix: path,
  socket: {
    binaryType: 'uint8array',
    data(socket, chunk) {
      reader.push(chunk, () => {
        socket.write(first ? welcome : answer)
        first = false
      })
    },
  },
})
process.stdout.write('ready\n')
