/** Repositories a run may have made; beyond that their own configuration stays guarded. */
const MAX_REPOSITORIES = 4096

/**
 * The `.git` folders a run made itself. git on the host would run what the configuration of a repository names, so an agent must not write that of one that was
 * there before; of one it makes (`git init`, `git clone`) it must.
 */
export class NewRepositories {
  private readonly folders = new Set<string>()

  /** A folder was made, at this canonical guest path. */
  made(guest: string): void {
    if (guest.endsWith('/.git') && this.folders.size < MAX_REPOSITORIES) this.folders.add(guest)
  }

  has(folder: string): boolean {
    return this.folders.has(folder)
  }
}
