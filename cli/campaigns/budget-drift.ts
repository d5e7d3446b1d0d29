import { captureMany } from '@authority/kernel/budget/campaign'

export const about = 'captures without drift: [COUNT] [SEED]'

export async function campaign([count = '10000000', seed = String(Date.now())]: readonly string[]): Promise<number> {
  console.log(`seed ${seed}, ${count} captures`)
  const { captured, expected, reserved } = captureMany(Number(count), Number(seed))
  console.log(`captured ${captured}, sum ${expected}, still held ${reserved}`)
  return captured === expected && reserved === 0 ? 0 : 1
}
