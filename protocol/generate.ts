#!/usr/bin/env bun
/**
 * Writes everything that follows from the declarations in src/, so that each fact has one home.
 *   bun protocol/generate.ts           writes what is stale
 *   bun protocol/generate.ts --check   writes nothing, names what is stale and exits 1
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { outputs } from './generate/outputs.ts'

const root = join(import.meta.dirname, '..')
const check = process.argv.includes('--check')
const unknown = process.argv.slice(2).find((argument) => argument !== '--check')
if (unknown !== undefined) {
  console.error(`unknown argument ${unknown}: only --check is known`)
  process.exit(64)
}

let stale = 0
for (const output of outputs((path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined))) {
  if (output.state === 'fresh') continue
  stale++
  if (output.state === 'frozen') {
    console.error(
      `${output.path}: differs from the declarations, but a released generation never changes. Append with \`since\`, or put back what it had.`,
    )
    console.error('  Only a generation nobody has released may be deleted and generated again.')
    process.exitCode = 1
  } else if (check) {
    console.error(`${output.path}: stale, run: bun protocol/generate.ts`)
    process.exitCode = 1
  } else {
    mkdirSync(dirname(join(root, output.path)), { recursive: true })
    writeFileSync(join(root, output.path), output.text)
    console.log(`wrote ${output.path}`)
  }
}
if (stale === 0) console.log('everything generated is fresh')
