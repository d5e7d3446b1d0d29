import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Unit tests live beside the code; acceptance tests (compiled binary, real VM) run one file at a time because two VMs on two cores starve each other. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: ['.ci/seed.ts'],
          include: ['{protocol,kernel,cli,sdks/typescript,benchmarks}/**/*.test.ts', '.ci/*.test.ts'],
          exclude: ['**/node_modules/**', 'cli/acceptance/**', 'cli/campaigns/**'],
          pool: 'forks',
          // Modules load once per worker: most of a unit test's time was importing. Tests keep no state in modules.
          isolate: false,
          maxWorkers: availableParallelism(),
          // A deadline against hanging, wide enough for a loaded machine.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'acceptance',
          include: ['cli/acceptance/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
