import { expect, test } from 'vitest'
import { attenuate } from './attenuate.ts'
import { explainToken } from './explain.ts'
import { patternRules } from './pattern-rules.ts'
import { GRANTS, NOW, read, testStage, write } from './testing/index.ts'

const validity = { notBefore: NOW, expires: NOW + 1000 }
const answers = (token: string, question = read('/work/a'), now = NOW, runRules = patternRules(GRANTS)) =>
  explainToken(token, question, now, patternRules, runRules).blocks.map(({ allows, reason }) => `${allows ? 'yes' : 'no'}: ${reason}`)

test('each block is named with what it says', () => {
  const { stage } = testStage()
  let token = stage.mint({ fs: { read: ['/work/**'] } }, validity)
  expect(answers(token)).toEqual(['yes: it grants this'])
  expect(answers(token, write('/work/a'))).toEqual(['no: it does not grant fs.write on this'])
  token = attenuate(attenuate(token, { tools: [] }), { fs: { read: ['/work/b/**'] } })
  expect(answers(token)).toEqual([
    'yes: it grants this',
    'yes: it does not restrict fs.read',
    'no: none of its patterns for fs.read allows this',
  ])
  expect(answers(token, read('/work/b/c')).at(-1)).toBe('yes: one of its patterns allows this')
  expect(answers(attenuate(token, { closed: true, tools: ['x'] }), read('/work/b/c')).at(-1)).toBe(
    'no: it is closed, and none of its patterns allows this',
  )
})

test('time and depth refuse too', () => {
  const { stage } = testStage()
  const token = attenuate(stage.mint({ fs: { read: ['/work/**'] }, delegate: 1 }, validity), { expires: NOW + 10 })
  expect(answers(token, read('/work/a'), NOW + 10)).toEqual(['yes: it grants this', 'no: it has expired'])
  expect(answers(attenuate(token, { uses: 1 }))[0]).toBe('no: it lets 1 blocks follow, and 2 do')
})

test('the run’s own grant is the policy’s, where that is known', () => {
  const { stage } = testStage()
  expect(answers(stage.runToken, read('/etc/passwd'))).toEqual(['no: it does not grant fs.read on this'])
  expect(explainToken(stage.runToken, read('/etc/passwd'), NOW, patternRules).blocks[0]?.reason).toContain('not looked at here')
})

test('what it says agrees with the gate', () => {
  const { stage } = testStage()
  for (const restriction of [{ fs: { read: ['/work/x'] } }, { closed: true, tools: ['t'] }, { expires: NOW }, { fs: { write: [] } }])
    for (const question of [read('/work/x'), read('/work/y'), write('/work/out/a')]) {
      const token = attenuate(stage.runToken, restriction)
      let gate = false
      try {
        gate = stage.check('s', stage.bind('s', token), [question]).allow
      } catch {}
      expect(explainToken(token, question, NOW, patternRules, patternRules(GRANTS)).allows).toBe(gate)
    }
})
