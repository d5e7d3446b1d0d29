import { isIP } from 'node:net'
import { CliError } from '../runs/errors.ts'
import type { RunSpec } from '../runs/run-spec.ts'

const MAX_PUBLISHED = 16
const LOOPBACK = '127.0.0.1'

/** `-p [ADDRESS:]HOST:GUEST`, as many as there are; without an address only this machine reaches it. Throws CliError. */
export function publishedPorts(given: readonly string[]): NonNullable<RunSpec['published']> {
  if (given.length > MAX_PUBLISHED) throw new CliError('usage', `more than ${MAX_PUBLISHED} ports to publish`, 'publish fewer with -p')
  const ports = given.map(parse)
  const twice = ports.find((one, index) => ports.findIndex((other) => other.address === one.address && other.port === one.port) !== index)
  if (twice !== undefined)
    throw new CliError('usage', `${twice.address}:${twice.port} is published twice`, 'give each host port once with -p')
  return ports
}

function parse(text: string): NonNullable<RunSpec['published']>[number] {
  const found = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):)?(\d{1,5}):(\d{1,5})$/.exec(text)
  const address = found?.[1] ?? found?.[2] ?? LOOPBACK
  const port = Number(found?.[3])
  const guestPort = Number(found?.[4])
  if (found === null || isIP(address) === 0 || !isPort(port) || !isPort(guestPort))
    throw new CliError(
      'usage',
      `\`${text}\` is not a port to publish`,
      'write it as -p HOST:GUEST, for example -p 8080:80, or -p ADDRESS:HOST:GUEST',
    )
  return { address, port, guestPort }
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65535
}
