import { describe, expect, it } from 'vitest'
import { alwaysDenied, fold, guardedFolder } from './index.ts'
import { policyFrom } from './testing.ts'

describe('writes that make the host run something later', () => {
  it.each([
    ['/w/.git/hooks/pre-commit', 'git-hooks'],
    ['/w/deep/down/.git/hooks/post-checkout', 'git-hooks'],
    ['/w/.GIT/Hooks/pre-commit', 'git-hooks'],
    ['/w/.g\u200cit/hooks/pre-commit', 'git-hooks'],
    ['/w/.git\ufeff/hooks/pre-commit', 'git-hooks'],
    ['/w/.git/hooks/pre-commit.d/x', 'git-hooks'],
    ['/w/.husky/pre-commit', 'git-hooks'],
    ['/w/.g\u034fit/hooks/pre-commit', 'git-hooks'],
    ['/w/.git\u{e0020}/hooks/pre-commit', 'git-hooks'],
    ['/w/.en\u3164vrc', 'direnv'],
    ['/w/.git/config', 'git-config'],
    ['/w/.git/CONFIG', 'git-config'],
    ['/w/.git/con\ufb01g', 'git-config'],
    ['/w/.git/config.worktree', 'git-config'],
    ['/w/.git/modules/lib/hooks/pre-commit', 'git-config'],
    ['/w/.git/worktrees/x/gitdir', 'git-config'],
    ['/home/.gitconfig', 'git-config'],
    ['/w/.envrc', 'direnv'],
    ['/w/.vscode/tasks.json', 'editor-tasks'],
    ['/w/.VSCode/Tasks.JSON', 'editor-tasks'],
    ['/w/.idea/workspace.xml', 'editor-tasks'],
    ['/w/.vimrc', 'editor-tasks'],
    ['/w/.mcp.json', 'editor-tasks'],
    ['/w/.claude/settings.local.json', 'editor-tasks'],
    ['/home/.bashrc', 'shell-start'],
    ['/home/.BASHRC', 'shell-start'],
    ['/home/.config/fish/conf.d/x.fish', 'shell-start'],
    ['/home/.ssh/authorized_keys', 'shell-start'],
    ['/home/Library/LaunchAgents/x.plist', 'shell-start'],
    ['/w/.git/hooks/pre-commit.sample', null],
    ['/w/.git/index', null],
    ['/w/.git/refs/heads/main', null],
    ['/w/.git/config.lock', null],
    ['/w/.gitignore', null],
    ['/w/git/hooks/pre-commit', null],
    ['/w/.vscode/notes.md', null],
    ['/w/bashrc', null],
    ['/w/x.envrc', null],
    ['not absolute/.envrc', null],
  ])('%s: %s', (path, id) => expect(alwaysDenied(path)?.id ?? null).toBe(id))

  it.each([
    ['/w/.git', true],
    ['/w/.Git', true],
    ['/w/.git/hooks', true],
    ['/w/.git/modules', true],
    ['/w/.vscode', true],
    ['/w/.config', true],
    ['/w/.config/fish', true],
    ['/w/.ssh', true],
    ['/w/.git/objects', false],
    ['/w/src', false],
    ['/w/hooks', false],
    ['/', false],
  ])('%s is a guarded folder: %s', (path, expected) => expect(guardedFolder(path) !== null).toBe(expected))

  const policy = policyFrom({
    fs: { read: ['/w/**'], write: ['/w/**', '/w/lifted/.git/hooks/pre-push', '/w/g/{.envrc,x}', '/w/c/[.]envrc'] },
  })

  it('lets a guarded folder be made empty, and arrive in no other way', () => {
    expect(policy.decide({ action: 'fs.write', object: '/w/.git', makes: 'directory' }).allow).toBe(true)
    expect(policy.decide({ action: 'fs.write', object: '/w/.git' })).toMatchObject({ allow: false, rule: 'always-deny:git-hooks' })
    expect(policy.decide({ action: 'fs.write', object: '/w/.git/hooks/x', makes: 'directory' }).allow).toBe(false)
  })

  it('is lifted by a literal rule for exactly that path, however it is escaped, and by no other', () => {
    const writes = (object: string): boolean => policy.decide({ action: 'fs.write', object }).allow
    expect(writes('/w/lifted/.git/hooks/pre-push')).toBe(true)
    expect(writes('/w/lifted/.git/hooks/pre-commit')).toBe(false)
    expect(writes('/w/lifted/.git/HOOKS/pre-push')).toBe(false)
    expect(writes('/w/g/.envrc')).toBe(false)
    expect(writes('/w/c/.envrc')).toBe(true)
    const verdict = policy.decide({ action: 'fs.write', object: '/w/.envrc' })
    expect(verdict.fix).toBe('{"version":"1.0","fs":{"write":["/w/.envrc"]}}')
  })

  it('does not forbid reading or looking', () => {
    expect(policy.decide({ action: 'fs.read', object: '/w/.git/config' }).allow).toBe(true)
    expect(policy.decide({ action: 'fs.look', object: '/w/.git/hooks/pre-commit' }).allow).toBe(true)
  })

  it('lets a repository made during the run be configured, its hooks never', () => {
    const asked: string[] = []
    const during = policyFrom(
      { fs: { write: ['/w/**'] } },
      { repositoryIsNew: (folder) => asked.push(folder) > 0 && folder === '/w/new/.git' },
    )
    expect(during.decide({ action: 'fs.write', object: '/w/new/.git/config' }).allow).toBe(true)
    expect(during.decide({ action: 'fs.write', object: '/w/old/.git/config' }).allow).toBe(false)
    expect(during.decide({ action: 'fs.write', object: '/w/new/.git/hooks/pre-commit' }).allow).toBe(false)
    expect(during.decide({ action: 'fs.write', object: '/w/new/.git/config.worktree' }).allow).toBe(false)
    expect(asked).toEqual(['/w/new/.git', '/w/old/.git'])
  })
})

describe('fold', () => {
  it.each([
    ['ABC', 'abc'],
    ['É', 'e\u0301'],
    ['\u212a', 'k'],
    ['ſ', 's'],
    ['a\u200db', 'ab'],
    ['STRASSE', 'straße'],
    ['Σ', 'ς'],
    ['ας', 'ΑΣ'],
    ['*σ', '*ς'],
    ['a\u034f\u061c\u115f\u17b4\u180b\u3164\uffa0\u{1d173}\u{e0100}b', 'ab'],
  ])('%s and %s are one name', (one, other) => expect(fold(one)).toBe(fold(other)))

  it('covers whatever differs in case or composition only, for every character', () => {
    const odd: string[] = []
    for (let code = 0x20; code < 0x20000; code++) {
      if (code >= 0xd800 && code < 0xe000) continue
      const one = String.fromCodePoint(code)
      const others = [one.toLowerCase(), one.toUpperCase(), one.normalize('NFC'), one.normalize('NFD'), one.toUpperCase().normalize('NFD')]
      if (others.some((other) => fold(other) !== fold(one))) odd.push(code.toString(16))
    }
    expect(odd).toEqual([])
  })

  it('keeps different names apart', () => expect(fold('abc')).not.toBe(fold('abd')))
})
