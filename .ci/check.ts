/** `npm run check`: types, lint, imports, unit tests; under a minute. */
import { findViolations } from './imports.ts'
import { runStep } from './steps.ts'
import { ROOT } from './toolchain.mjs'

const BUN = process.execPath
let failed = 0
failed += await runStep('types', ['node_modules/.bin/tsc', '--noEmit', '-p', 'tsconfig.json'])
failed += await runStep('lint', ['node_modules/.bin/biome', 'check', '--error-on-warnings', '.'])
failed += await checkImports()
failed += await runStep('generated files', [BUN, 'protocol/generate.ts', '--check'])
failed += await runStep('unit tests', [BUN, '--bun', 'node_modules/vitest/vitest.mjs', 'run', '--project', 'unit'])
process.exit(failed === 0 ? 0 : 1)

async function checkImports(): Promise<number> {
  const violations = await findViolations(ROOT)
  for (const { file, line, specifier, rule } of violations) console.log(`${file}:${line}: ${specifier}: ${rule}`)
  console.log(`imports: ${violations.length === 0 ? 'ok' : `${violations.length} violations`}`)
  return violations.length === 0 ? 0 : 1
}
