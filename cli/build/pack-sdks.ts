import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The Python package as path → text, to be laid into images: `import authority` just works there. */
export function packPythonSdk(root: string): Record<string, string> {
  const folder = join(root, 'sdks/python/src/authority')
  const files: Record<string, string> = {}
  for (const file of [...new Bun.Glob('**/*.{py,typed}').scanSync({ cwd: folder })].sort())
    files[`authority/${file}`] = readFileSync(join(folder, file), 'utf8')
  if (files['authority/__init__.py'] === undefined) throw new Error(`${folder} holds no package`)
  return files
}

/** The TypeScript SDK as one ES module: what `import … from 'authority'` finds when an agent is bundled. */
export async function packTypescriptSdk(root: string): Promise<string> {
  const built = await Bun.build({ entrypoints: [join(root, 'sdks/typescript/src/index.ts')], target: 'node', format: 'esm' })
  const [bundle] = built.outputs
  if (!built.success || bundle === undefined) throw new Error(`the TypeScript SDK does not bundle: ${built.logs.join('\n')}`)
  return bundle.text()
}
