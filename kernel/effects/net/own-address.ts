import { createSocket } from 'node:dgram'

/** Whether a connection to this address would end on this very machine. Rejects when the machine cannot say. */
export type IsOwnAddress = (address: string) => Promise<boolean>

const NO_ROUTE = ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']
/** For the route alone: connecting a datagram socket sends nothing. */
const DISCARD_PORT = 9

/**
 * By the kernel's own routes, asked each time: what reaches this machine itself leaves with the address it goes to. A list of interfaces would lack those without a
 * cable and ranges that are routed here without belonging to any.
 */
export const isOwnAddress: IsOwnAddress = (address) =>
  new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const settle = (own: boolean): void => {
      socket.close()
      resolve(own)
    }
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (NO_ROUTE.includes(error.code ?? '')) return settle(false)
      socket.close()
      reject(error)
    })
    socket.connect(DISCARD_PORT, address, () => settle(socket.address().address === address))
  })
