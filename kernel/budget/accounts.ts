import { AuthorityError } from '@authority/protocol'
import { Account } from './account.ts'
import type { Histories } from './history.ts'
import { MAX_ACCOUNT_NAME, MAX_ACCOUNTS, MAX_OPEN_RESERVATIONS, MAX_PATH, OPEN_OF_BLOCK } from './limits.ts'
import type { AccountName } from './types.ts'

/** What one reservation is charged to. */
export interface Path {
  readonly accounts: readonly Account[]
  readonly names: readonly AccountName[]
}

/** The accounts of a run. One that was never declared is unlimited, but counted, so that a limit declared later meets what was spent before. */
export class Accounts {
  readonly #byName = new Map<AccountName, Account>()
  readonly #histories: Histories | null
  /** Of lists that cannot change any more: a token's stays the same as long as it lives. */
  #paths = new WeakMap<readonly AccountName[], Path>()

  constructor(histories: Histories | null) {
    this.#histories = histories
  }

  /** Finds or opens. Throws E_RATE_LIMIT when there are too many. */
  open(name: AccountName): Account {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    if (name === '' || name.length > MAX_ACCOUNT_NAME) throw new RangeError(`an account's name has 1 to ${MAX_ACCOUNT_NAME} characters`)
    if (this.#byName.size >= MAX_ACCOUNTS) this.#makeRoom()
    const account = new Account(name, this.#histories)
    this.#byName.set(name, account)
    return account
  }

  /** Each account once: naming it twice must not charge it twice, and naming none must not charge none. */
  path(names: readonly AccountName[]): Path {
    return this.#paths.get(names) ?? this.#newPath(names)
  }

  #newPath(names: readonly AccountName[]): Path {
    if (names.length === 0 || names.length > MAX_PATH)
      throw new RangeError(`a reservation is charged to 1 to ${MAX_PATH} accounts, not ${names.length}`)
    const accounts = [...new Set(names.map((name) => this.open(name)))]
    boundOpen(accounts)
    const path = { accounts, names: accounts.map(({ name }) => name) }
    if (Object.isFrozen(names)) this.#paths.set(names, path)
    return path
  }

  /** Declared accounts stay, whatever else needs room. */
  declare(name: AccountName): Account {
    const account = this.open(name)
    account.declared = true
    return account
  }

  find(name: AccountName): Account | undefined {
    return this.#byName.get(name)
  }

  all(): Iterable<Account> {
    return this.#byName.values()
  }

  #makeRoom(): void {
    for (const account of this.#byName.values()) {
      if (account.open > 0 || account.declared || account.frozenBy !== null) continue
      this.#byName.delete(account.name)
      this.#paths = new WeakMap()
      account.forget()
      return
    }
    throw new AuthorityError('E_RATE_LIMIT', `the run has ${MAX_ACCOUNTS} budget accounts in use`, {
      hint: 'Use fewer tokens with budgets of their own.',
    })
  }
}

/** A block stands below the same others in every token, so its part is always the same. */
function boundOpen(accounts: readonly Account[]): void {
  let most = MAX_OPEN_RESERVATIONS
  for (const account of accounts)
    if (account.name.startsWith('block:')) {
      most = Math.floor(most * OPEN_OF_BLOCK)
      account.maxOpen = most
    }
}
