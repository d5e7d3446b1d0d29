import { ImageStore } from '../image/index.ts'
import { columns, safe } from '../ui/text.ts'
import { formatBytes } from '../ui/units.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { IMAGES_LS } from './verbs.ts'

export const command: Command<typeof IMAGES_LS> = async ({ flags }, context) => {
  const { terminal } = context
  const images = new ImageStore(homeOf(context).images).list()
  if (flags.json) {
    terminal.json(images.map((image) => ('meta' in image ? image.meta : image)))
    return 0
  }
  if (images.length === 0) terminal.note('authority: there are no images yet; `authority build PATH` makes one')
  else {
    const rows = images.map((image) =>
      'meta' in image
        ? [image.name, formatBytes(image.meta.size), `${image.meta.builtAt.slice(0, 19)}Z`, image.meta.policyId?.slice(0, 8) ?? 'none']
        : [image.name, '-', '-', safe(image.problem)],
    )
    for (const line of columns([['IMAGE', 'SIZE', 'BUILT', 'POLICY'], ...rows])) terminal.out(line)
  }
  return 0
}
