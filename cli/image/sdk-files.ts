/** The SDKs that go into images: read from the source tree in development, embedded in the compiled binary. */
export interface SdkFiles {
  /** The Python package: paths below the folder that is on sys.path (`authority/__init__.py`) → content. */
  readonly python: ReadonlyMap<string, Uint8Array>
  /** The TypeScript SDK as one ES module for Bun, dependencies bundled. */
  readonly typescript: Uint8Array
}

/** What a build may use of this machine. */
export interface BuildTools {
  /** HOME/cache: layers, programs and derived images. */
  readonly cacheDir: string
  readonly sdk: SdkFiles
  /**
   * Executables that are Bun when started with BUN_BE_BUN=1: the compiled `authority` binary itself, or bun. The one for this machine's
   * architecture also bundles TypeScript.
   */
  readonly bun: Readonly<Partial<Record<'x86_64' | 'aarch64', string>>>
  /** Version of this program. */
  readonly version: string
  /** Told of each step that takes a while: `python3 for x86_64`. */
  readonly onStep?: (step: BuildStep) => void
}

export interface BuildStep {
  readonly what: string
  /** Bytes to download, where known. */
  readonly bytes?: number
  /** 0…100, where known. */
  readonly percent?: number
}
