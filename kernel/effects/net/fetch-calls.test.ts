import type { RequestListener } from 'node:http'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { captured, reserved } from '../../gate/testing/world.ts'
import { bodyOf, closeAll, serving } from './testing/fetching.ts'
import type { NetWorld } from './testing/world.ts'

afterEach(closeAll)

async function closed(net: NetWorld): Promise<void> {
  await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
  expect(reserved(net.world.budget)).toBe(0)
}

describe('redirects and calls', () => {
  const chain: RequestListener = ({ url = '' }, response) => {
    const left = Number(url.slice(1))
    if (left === 0) response.end('there')
    else response.writeHead(302, { location: `/${left - 1}` }).end()
  }

  test('each hop is one more call, on record before it is dialled', async () => {
    const { net, fetch } = await serving(chain, { budgets: { calls: 10 } })
    expect(await bodyOf(net, await fetch('/3'))).toBe('there')
    expect(captured(net.world.budget, 'calls')).toBe(4)
    const leases = net.world.appended.filter((record) => record.type === 'LEASE')
    expect(leases.map((record) => record.type === 'LEASE' && record.reserve)).toEqual([{ calls: 1 }, { calls: 1 }, { calls: 1 }])
    await closed(net)
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })

  test('one that cannot be paid is E_BUDGET_EXCEEDED and never reaches the server', async () => {
    const { net, fetch, server } = await serving(chain, { budgets: { calls: 2 } })
    expect(await fetch('/3')).toBe('E_BUDGET_EXCEEDED')
    expect(server.seen.map((line) => line.split(' ')[1])).toEqual(['/3', '/2'])
    expect(net.dialled.length).toBe(2)
    expect(captured(net.world.budget, 'calls')).toBe(2)
    await closed(net)
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })
})
