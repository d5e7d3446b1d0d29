import type { EffectResult, EffectSession, Permit } from '../contract.ts'
import { Connection, type Opening } from './connection.ts'
import { type Dial, dialFirst } from './dial.ts'
import { connectQuestion, type Target } from './object.ts'
import { tlsCheckFor } from './tls-check.ts'
import { type VetDependencies, vettedAddresses } from './vet.ts'

export interface ConnectDependencies extends VetDependencies {
  readonly dial: Dial
}

/** Dials the vetted, pinned address and joins it to a stream of the session. */
export async function executeConnect(
  target: Target,
  session: EffectSession,
  permit: Permit,
  deps: ConnectDependencies,
): Promise<EffectResult> {
  const addresses = await vettedAddresses(target, permit, deps)
  const { socket, address } = await dialFirst(deps.dial, addresses, target.port, permit.signal)
  try {
    const stream = new Connection(socket, permit.lease(), openingOf(target, permit)).attach(session)
    return { result: [stream.number, address], detail: { address, mode: 'passthrough' } }
  } catch (error) {
    // The pipeline closes the lease of an effect that failed.
    socket.destroy()
    throw error
  }
}

/** A client that names another host in its ClientHello is judged as if it had asked for that one, for the record; it is refused either way. */
function openingOf(target: Target, permit: Permit): Opening | null {
  const check = tlsCheckFor(target)
  if (check === null) return null
  return {
    check,
    onOtherName: (serverName) =>
      permit.decideAgain([connectQuestion({ kind: 'name', name: serverName, port: target.port })], `${serverName}:${target.port}`),
  }
}
