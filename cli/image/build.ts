import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { ImageCache, treeKey } from './cache.ts'
import type { Arch } from './elf.ts'
import { fileEntry } from './entries.ts'
import { ImageError } from './errors.ts'
import { type Extra, extraEntries } from './extras.ts'
import type { OpenImage } from './image-file.ts'
import { authorityEntries } from './layers/authorities.ts'
import { skeletonEntries } from './layers/skeleton.ts'
import { MAX_POLICY_BYTES } from './limits.ts'
import { MANIFEST_PATH, MANIFEST_VERSION, type Manifest, manifestText, POLICY_PATH } from './manifest.ts'
import { checkImageName, imageNameOf } from './names.ts'
import { layer, type Plan, planProgram } from './plan.ts'
import type { BuildTools } from './sdk-files.ts'
import type { ImageMeta, ImageStore } from './store.ts'
import { mergeLayers, type TreeNode } from './tree.ts'

/** What goes into an image. Nothing else does: no environment, no file of the host that is not named here. */
export interface Recipe {
  /** Host path of the program. */
  readonly program: string
  /** Undefined: the program's own, else this machine's. */
  readonly arch?: Arch
  /** Undefined: made from the program's basename. */
  readonly name?: string
  /** Arguments the image always starts its program with. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Host files and folders that are copied in. */
  readonly extras?: readonly Extra[]
  /** Bytes of the policy the image asks for, already checked by the policy loader. */
  readonly policy?: Uint8Array
}

/** An image ready to be written. `close` gives back the layers' descriptors. */
export interface PreparedImage {
  readonly root: TreeNode
  readonly manifest: Manifest
  /** SHA-256 of the policy inside, or null. */
  readonly policyId: string | null
  close(): void
}

/** Plans a program and merges its layers. Throws ImageError; leaves nothing behind. */
export async function prepareImage(recipe: Recipe, tools: BuildTools): Promise<PreparedImage> {
  const name = recipe.name === undefined ? imageNameOf(recipe.program) : checkImageName(recipe.name)
  const plan = await planProgram(recipe.program, recipe.arch, tools)
  try {
    return assemble(recipe, name, plan, tools)
  } catch (error) {
    plan.close()
    throw error
  }
}

function assemble(recipe: Recipe, name: string, plan: Plan, tools: BuildTools): PreparedImage {
  const { policy } = recipe
  if (policy !== undefined && policy.length > MAX_POLICY_BYTES)
    throw new ImageError('too-big', `the policy is larger than ${MAX_POLICY_BYTES} bytes`)
  const extras = recipe.extras === undefined || recipe.extras.length === 0 ? [] : [layer('files', extraEntries(recipe.extras))]
  const skeleton = layer('skeleton', [...skeletonEntries(plan.arch), ...authorityEntries()])
  const layers = [skeleton, ...plan.layers, ...extras]
  const manifest: Manifest = {
    version: MANIFEST_VERSION,
    name,
    arch: plan.arch,
    kind: plan.program.kind,
    argv: [...plan.argv, ...(recipe.args ?? [])],
    env: { ...plan.env, ...recipe.env },
    cwd: plan.cwd,
    profiles: plan.profiles,
    layers: layers.map(({ name, digest }) => ({ name, digest })),
    packages: plan.packages,
    authority: tools.version,
  }
  const own = [fileEntry(MANIFEST_PATH, manifestText(manifest)), ...(policy === undefined ? [] : [fileEntry(POLICY_PATH, policy)])]
  const root = mergeLayers([...layers, { name: 'manifest', entries: own }])
  const policyId = policy === undefined ? null : createHash('sha256').update(policy).digest('hex')
  return { root, manifest, policyId, close: plan.close }
}

export interface Built {
  readonly meta: ImageMeta
  readonly manifest: Manifest
}

/** `authority build`: builds and stores an image under its name. `installation` is this installation's id, `builtAt` RFC 3339. */
export async function buildImage(
  recipe: Recipe,
  tools: BuildTools,
  store: ImageStore,
  facts: { readonly installation: string; readonly builtAt: string },
): Promise<Built> {
  const prepared = await prepareImage(recipe, tools)
  try {
    const { manifest, policyId } = prepared
    const meta = store.put(manifest.name, prepared.root, { builtBy: facts.installation, policyId, builtAt: facts.builtAt })
    return { meta, manifest }
  } finally {
    prepared.close()
  }
}

/** An open image with what it says about itself. */
export interface BuiltProgram extends OpenImage {
  readonly manifest: Manifest
  readonly policyId: string | null
}

/** `authority run ./PROGRAM`: the image out of the cache when nothing it is made of changed, else built into it. The caller closes it. */
export async function buildCached(recipe: Recipe, tools: BuildTools): Promise<BuiltProgram> {
  const prepared = await prepareImage(recipe, tools)
  try {
    const { manifest, policyId } = prepared
    const open = await new ImageCache(join(tools.cacheDir, 'programs')).ensure(treeKey(prepared.root), (store) => store(prepared.root))
    return { ...open, manifest, policyId }
  } finally {
    prepared.close()
  }
}
