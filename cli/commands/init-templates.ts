/** What `authority init` writes: a small agent that works on mounted files and then tries something its policy forbids. */

export const TEMPLATE_NAMES = ['python', 'typescript', 'static'] as const
export type TemplateName = (typeof TEMPLATE_NAMES)[number]

export interface Template {
  /** Path below the folder → content. */
  readonly files: Readonly<Record<string, string>>
  /** Commands to try, from that folder. */
  readonly next: readonly string[]
}

const NOTES = 'Buy bread\nTODO: write to the harbour master\nTODO: count the boats\n'

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

function policy(profile: string): string {
  return json({
    version: '1.0',
    profiles: [profile],
    fs: { read: ['/work/**'], write: ['/work/out/**'] },
    budgets: { calls: 200, bytes: 10_000_000, wall_time_ms: 60_000 },
  })
}

const RUN = 'authority run -c config.json -v ./work:/work'

const PYTHON = `"""Collects the TODO lines of a mounted folder. Plain file calls: the policy decides each of them."""
import pathlib

WORK = pathlib.Path("/work")

todos = [line for line in (WORK / "notes.txt").read_text().splitlines() if line.startswith("TODO")]
out = WORK / "out"
out.mkdir(exist_ok=True)
(out / "todos.txt").write_text("".join(f"{line}\\n" for line in todos))
print(f"found {len(todos)} things to do")

try:
    (WORK / "notes.txt").unlink()
except PermissionError as error:
    print(f"refused, as the policy says: {error}")
`

const TYPESCRIPT = `/** Collects the TODO lines of a mounted folder. Plain file calls: the policy decides each of them. */
import { mkdir, readFile, unlink, writeFile } from 'node:fs/promises'

const todos = (await readFile('/work/notes.txt', 'utf8')).split('\\n').filter((line) => line.startsWith('TODO'))
await mkdir('/work/out', { recursive: true })
await writeFile('/work/out/todos.txt', todos.map((line) => \`\${line}\\n\`).join(''))
console.log(\`found \${todos.length} things to do\`)

try {
  await unlink('/work/notes.txt')
} catch (error) {
  console.log(\`refused, as the policy says: \${(error as Error).message}\`)
}
`

const STATIC = `/* Collects the TODO lines of a mounted folder. Plain system calls: the policy decides each of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    char line[4096];
    int todos = 0;
    mkdir("/work/out", 0755);
    FILE *in = fopen("/work/notes.txt", "r");
    FILE *out = fopen("/work/out/todos.txt", "w");
    if (in == NULL || out == NULL) {
        perror("cannot work");
        return 1;
    }
    while (fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "TODO", 4) != 0) continue;
        fputs(line, out);
        todos++;
    }
    if (fclose(out) != 0) {
        perror("cannot write");
        return 1;
    }
    printf("found %d things to do\\n", todos);
    if (unlink("/work/notes.txt") != 0) printf("refused, as the policy says: %s\\n", strerror(errno));
    return 0;
}
`

export const TEMPLATES: Readonly<Record<TemplateName, Template>> = {
  python: {
    files: {
      'main.py': PYTHON,
      'policy.json': policy('python'),
      'config.json': json({ Program: 'main.py', Policy: 'policy.json' }),
      'work/notes.txt': NOTES,
    },
    next: [RUN],
  },
  typescript: {
    files: {
      'main.ts': TYPESCRIPT,
      'policy.json': policy('bun'),
      'config.json': json({ Program: 'main.ts', Policy: 'policy.json' }),
      'work/notes.txt': NOTES,
    },
    next: [RUN],
  },
  static: {
    files: {
      'main.c': STATIC,
      'policy.json': policy('tier1-musl'),
      'config.json': json({ Program: 'agent', Policy: 'policy.json' }),
      'work/notes.txt': NOTES,
    },
    next: ['cc -static -o agent main.c', RUN],
  },
}
