/**
 * `policy contains PARENT CHILD`: whether everything the child lets happen, the parent lets happen too. Reading, changing, looking, connecting, listening, resolving,
 * tools, models, budgets, and what a run must be given.
 */

import type { LoadedPolicy } from '../stage.ts'
import { boundOf } from './budget-bounds.ts'
import { looksContained } from './looking.ts'
import { modelsContained, toolsContained } from './names.ts'
import { netContained } from './net.ts'
import { pathsContained } from './paths.ts'
import { surroundingsContained } from './surroundings.ts'
import { type Containment, YES } from './types.ts'

export type { Containment } from './types.ts'

/** Sound: `yes` only where it is proved, `no` only with a counter-example both policies' own decisions confirm (for budgets: the two limits). Total and bounded. */
export function containsPolicy(parent: LoadedPolicy, child: LoadedPolicy): Containment {
  const answers = [
    () => pathsContained(parent, child, 'fs.read'),
    () => pathsContained(parent, child, 'fs.write'),
    () => looksContained(parent, child),
    () => netContained(parent, child),
    () => toolsContained(parent, child),
    () => modelsContained(parent, child),
    () => budgetsContained(parent, child),
    () => surroundingsContained(parent, child),
  ]
  let answer: Containment = YES
  for (const part of answers) {
    const found = part()
    if (found.contains === 'no') return found
    if (found.contains === 'unknown' && answer.contains === 'yes') answer = found
  }
  return answer
}

/** Effects only: budgets and expectations left out. For `policy diff`. */
export function effectsContained(parent: LoadedPolicy, child: LoadedPolicy, action: string): Containment {
  if (action === 'fs.read' || action === 'fs.write') return pathsContained(parent, child, action)
  if (action === 'fs.look') return looksContained(parent, child)
  if (action === 'tools') return toolsContained(parent, child)
  return action === 'infer' ? modelsContained(parent, child) : netContained(parent, child)
}

function budgetsContained(parent: LoadedPolicy, child: LoadedPolicy): Containment {
  for (const [name, limit] of Object.entries(parent.budgets)) {
    const own = boundOf(child.budgets, name)
    if (own > limit)
      return {
        contains: 'no',
        example: null,
        why: `budget ${name}: ${own === Number.POSITIVE_INFINITY ? 'unlimited' : own} under the child, ${limit} under the parent`,
      }
  }
  return YES
}
