import { greeted, type Served } from './serve.ts'
import type { World } from './world.ts'

export async function serveMany(world: World, count: number, token: string | null = null): Promise<Served[]> {
  return Promise.all(Array.from({ length: count }, () => greeted(world, token)))
}
