import { build, pythonSdk, typescriptSdk } from '../embedded/assets.ts'
import type { BuildTools } from '../image/index.ts'
import type { Home } from '../runs/home.ts'
import type { Step } from '../ui/progress.ts'

/** What an image build may use: the cache, the SDKs this program carries, and this program itself as Bun. */
export function buildTools(home: Home, onStep: (step: Step) => void): BuildTools {
  return {
    cacheDir: home.cache,
    version: build.version,
    bun: { [build.arch]: process.execPath },
    sdk: {
      python: new Map(Object.entries(pythonSdk()).map(([path, text]) => [path, Buffer.from(text)])),
      typescript: Buffer.from(typescriptSdk()),
    },
    onStep,
  }
}
