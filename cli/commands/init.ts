import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { CliError } from '../runs/errors.ts'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { TEMPLATE_NAMES, TEMPLATES } from './init-templates.ts'
import { oneOf } from './shared.ts'
import type { INIT } from './verbs.ts'
import { writeNew } from './write-new.ts'

export const command: Command<typeof INIT> = async ({ flags, positionals }, { cwd, terminal }) => {
  const folder = resolve(cwd, positionals[0] ?? '.')
  const template = TEMPLATES[oneOf('template', flags.template ?? 'python', TEMPLATE_NAMES)]
  const files = Object.entries(template.files).map(([name, text]) => ({ name, text, path: join(folder, name) }))
  // All or none: half an agent helps nobody.
  const taken = files.find(({ path }) => existsSync(path))
  if (taken !== undefined)
    throw new CliError('usage', `${taken.path} is there already`, 'nothing was written; choose an empty folder: authority init DIR')
  for (const { path, text } of files) {
    makeFolder(dirname(path))
    writeNew(path, text)
  }
  if (flags.json) terminal.json({ folder, files: files.map(({ name }) => name), next: template.next })
  else {
    for (const { name } of files) terminal.out(`wrote ${safe(join(relative(cwd, folder), name))}`)
    terminal.out('try it:')
    if (folder !== cwd) terminal.out(`  cd ${safe(relative(cwd, folder))}`)
    for (const line of template.next) terminal.out(`  ${line}`)
  }
  return 0
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    throw new CliError('usage', `the folder ${path} cannot be made: ${code ?? String(cause)}`, 'choose another: authority init DIR', {
      cause,
    })
  }
}
