/** Writes policy.schema.json from schema.ts: `bun kernel/policy/write-schema.ts`. A test fails when it is stale. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jsonSchema } from './schema.ts'

writeFileSync(join(import.meta.dirname, 'policy.schema.json'), `${JSON.stringify(jsonSchema(), null, 2)}\n`)
