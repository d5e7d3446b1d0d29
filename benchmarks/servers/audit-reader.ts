/** One reading of a log, as a program of its own: `bun audit-reader.ts verify|prove|nothing HOME [SEQ]`. */
import { join } from 'node:path'
import { proveRecord, verifyRun } from '@authority/kernel/audit'

const [what = '', home = '', seq = '0'] = process.argv.slice(2)
const path = join(home, 'run')
if (what === 'verify') {
  const { status, records } = await verifyRun(path, { installation: join(home, 'installation') })
  console.log(`${status} ${records}`)
} else if (what === 'prove') console.log(proveRecord(path, Number(seq)).hashes.length)
