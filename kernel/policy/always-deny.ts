/**
 * Writes that make the host run something later, denied whatever the policy allows, and liftable only by a literal rule for exactly that path.
 * Names are compared without case, Unicode form and invisible characters: some host file systems take `.GIT/config` for `.git/config`.
 */
import { matchPathGlob, parsePathGlob, pathSegments } from '../patterns/index.ts'
import { matchAlternative } from '../patterns/path-glob.ts'
import { fold } from './fold.ts'

export interface AlwaysDenyRule {
  readonly id: string
  readonly why: string
  /** Relative globs, at any depth. The first segment is literal. */
  readonly patterns: readonly string[]
  readonly except?: readonly string[]
}

export const ALWAYS_DENY: readonly AlwaysDenyRule[] = [
  {
    id: 'git-hooks',
    why: 'git on the host runs hooks',
    patterns: ['.git/hooks/*/**', '.husky/*/**', '.githooks/*/**'],
    except: ['.git/hooks/*.sample'],
  },
  {
    id: 'git-config',
    why: 'git on the host runs programs its config names',
    patterns: [
      '.git/config',
      '.git/config.worktree',
      '.git/commondir',
      '.git/modules/*/**',
      '.git/worktrees/*/**',
      '.gitconfig',
      '.config/git/*/**',
    ],
  },
  { id: 'direnv', why: 'direnv on the host runs it on entering the folder', patterns: ['.envrc', '.direnvrc', '.config/direnv/*/**'] },
  {
    id: 'editor-tasks',
    why: 'editors on the host run what it names',
    patterns: [
      '.vscode/{tasks,launch,settings,mcp}.json',
      '.idea/*/**',
      '.zed/{tasks,settings,debug}.json',
      '.devcontainer.json',
      '.devcontainer/*/**',
      '.{vimrc,gvimrc,exrc,nvimrc,nvim.lua}',
      '.{dir-locals,dir-locals-2}.el',
      '.emacs',
      '.emacs.d/*/**',
      '.{cursor,claude}/{mcp,settings,settings.local,hooks}.json',
      '.mcp.json',
    ],
  },
  {
    id: 'shell-start',
    why: 'shells on the host run it when they start',
    patterns: [
      '.{bashrc,bash_profile,bash_login,bash_logout,bash_aliases,profile}',
      '.{zshrc,zshenv,zprofile,zlogin,zlogout}',
      '.{kshrc,mkshrc,cshrc,tcshrc,login,logout,inputrc,pam_environment,xprofile,xsession,xinitrc}',
      '.config/fish/*/**',
      '.config/{autostart,systemd,environment.d}/*/**',
      '.ssh/*/**',
      'LaunchAgents/*/**',
    ],
  },
]

export interface AlwaysDenyOptions {
  /** Whether the repository whose `.git` folder this is (canonical guest path) was made during this run: only then is its own config writable. Absent: no. */
  readonly repositoryIsNew?: (gitFolder: string) => boolean
}

interface Compiled {
  readonly rule: AlwaysDenyRule
  readonly segments: ReturnType<typeof compile>[number]
}

const compile = (pattern: string) => parsePathGlob(fold(`/${pattern}`)).alternatives.map((alternative) => alternative.segments)

/** Each guarded pattern under its first, literal segment. */
const GUARDED = new Map<string, Compiled[]>()
/** Folders that guarded names live in, as joined relative paths: `.git`, `.git/hooks`, `.config`, `.config/fish`. */
const FOLDERS = new Map<string, AlwaysDenyRule>()
for (const rule of ALWAYS_DENY) {
  for (const segments of rule.patterns.flatMap(compile)) {
    const first = segments[0]
    if (first?.kind !== 'literal') throw new TypeError('a guarded pattern begins with a literal segment')
    GUARDED.set(first.text, [...(GUARDED.get(first.text) ?? []), { rule, segments }])
    let folder = ''
    for (const segment of segments.slice(0, -1)) {
      if (segment.kind !== 'literal') break
      folder = folder === '' ? segment.text : `${folder}/${segment.text}`
      if (!FOLDERS.has(folder)) FOLDERS.set(folder, rule)
    }
  }
}
const EXCEPT = ALWAYS_DENY.flatMap((rule) => (rule.except ?? []).map((pattern) => parsePathGlob(fold(`/**/${pattern}`))))

/** The rule that denies writing this canonical path itself, or null. Pure. */
export function alwaysDenied(path: string, options: AlwaysDenyOptions = {}): AlwaysDenyRule | null {
  const segments = pathSegments(path)?.map(fold)
  if (segments === undefined) return null
  for (const [index, name] of segments.entries()) {
    const hit = GUARDED.get(name)?.find((guarded) => matchAlternative(guarded.segments, segments.slice(index)))
    if (hit === undefined) continue
    if (EXCEPT.some((glob) => matchPathGlob(glob, `/${segments.join('/')}`))) continue
    if (
      name === '.git' &&
      segments.length === index + 2 &&
      segments[index + 1] === 'config' &&
      options.repositoryIsNew?.(folderOf(path, index + 1)) === true
    )
      continue
    return hit.rule
  }
  return null
}

/**
 * The rule that guards names inside this folder, or null. Such a folder may be made empty, never be the target of a rename, a link or a file:
 * what was prepared under a harmless name would otherwise arrive complete (`mv prepared .git`, a `.git` file that points elsewhere).
 */
export function guardedFolder(path: string): AlwaysDenyRule | null {
  const segments = pathSegments(path)?.map(fold)
  if (segments === undefined) return null
  for (let from = segments.length - 1; from >= 0 && from >= segments.length - 3; from--) {
    const rule = FOLDERS.get(segments.slice(from).join('/'))
    if (rule !== undefined) return rule
  }
  return null
}

function folderOf(path: string, segments: number): string {
  return `/${path
    .split('/')
    .slice(1, segments + 1)
    .join('/')}`
}
