/** Writes fixtures/vectors/capability: bun kernel/capability/vectors/generate.ts */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VECTOR_FOLDER, vectorFiles } from './files.ts'

const folder = join(import.meta.dirname, '../../..', VECTOR_FOLDER)
mkdirSync(folder, { recursive: true })
for (const [name, text] of vectorFiles()) writeFileSync(join(folder, name), text)
