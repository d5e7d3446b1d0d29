export const ROOT: string
export const CACHE: string
export const BUN_VERSION: string
export const BUN_PACKAGE: string | undefined
export const BUN: string
export const VENV: string
export const PYTHON: string
export const DEBIAN_PACKAGES: Readonly<Record<string, readonly string[]>>
export const NEEDS: Readonly<Record<string, { readonly debian: readonly string[]; readonly python: boolean }>>
