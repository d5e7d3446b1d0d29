import { type Charges, type Dimension, OPERATION_CLASSES, type OperationName } from '../vocabulary/index.ts'
import { readCharges } from './amounts.ts'
import { RUN_ACCOUNT } from './stage.ts'
import type { AccountName } from './types.ts'

/** Each class of operations has an account of its own beside the run's: what an effect uses is charged to both. `class:net` for `net.connect`. */
export function classAccount(operation: OperationName): AccountName {
  return `class:${operation.slice(0, operation.indexOf('.'))}`
}

/** Limits as people write them, `calls` of the run and `net.calls` of one class, by account. Throws RangeError for a class or dimension there is not. */
export function limitsByAccount(flat: Readonly<Record<string, number>>): ReadonlyMap<AccountName, Charges> {
  const byAccount = new Map<AccountName, Partial<Record<Dimension, number>>>()
  for (const [key, limit] of Object.entries(flat)) {
    const cut = key.indexOf('.')
    const name = key.slice(0, Math.max(0, cut))
    if (cut >= 0 && !(OPERATION_CLASSES as readonly string[]).includes(name)) throw new RangeError(`${name} is not a class of operations`)
    const account = cut < 0 ? RUN_ACCOUNT : `class:${name}`
    const limits = { ...byAccount.get(account), [key.slice(cut + 1)]: limit }
    readCharges(limits)
    byAccount.set(account, limits)
  }
  return byAccount
}
