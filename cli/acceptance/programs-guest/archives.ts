/** An npm package and a wheel of our own, as if downloaded. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../process/run-program.ts'

export const WHEEL = 'wheel_of_ours-1.0-py3-none-any.whl'

/** `package.tgz` and the wheel, in `archives`, which exists. */
export async function makeArchives(archives: string): Promise<void> {
  mkdirSync(join(archives, 'package'))
  writeFileSync(join(archives, 'package/package.json'), JSON.stringify({ name: 'package-of-ours', version: '1.0.0', main: 'index.js' }))
  writeFileSync(join(archives, 'package/index.js'), "module.exports = 'installed by npm'\n")
  await runProgram(['tar', '-czf', join(archives, 'package.tgz'), '-C', archives, 'package'])
  const wheel = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("wheel_of_ours.py", "NAME = 'installed by pip'\\n")
    z.writestr("wheel_of_ours-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: wheel-of-ours\\nVersion: 1.0\\n")
    z.writestr("wheel_of_ours-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    z.writestr("wheel_of_ours-1.0.dist-info/RECORD", "wheel_of_ours.py,,\\nwheel_of_ours-1.0.dist-info/METADATA,,\\nwheel_of_ours-1.0.dist-info/WHEEL,,\\nwheel_of_ours-1.0.dist-info/RECORD,,\\n")
`
  const made = await runProgram(['/usr/bin/python3', '-c', wheel, join(archives, WHEEL)])
  if (made.code !== 0) throw new Error(made.stderr)
}
