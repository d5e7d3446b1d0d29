/** What a decision costs: against Cedar's engine on the same rules, against the number of rules, and what loading many rules costs. */
import { loadPolicy } from '@authority/kernel/policy'
import type { Question } from '@authority/kernel/vocabulary'
import { callOf, cedarAllows, type OracleDocument, preparse, translate } from '../kernel/policy/oracle/cedar.ts'
import { atMost, median, type Row } from './statistics.ts'

const ROUNDS = 7
const DECISIONS = 20_000
const CEDAR_DECISIONS = 500
const MAX_LOAD_MS = 200

/** `rules` allow rules: half paths, half hosts, and a few that deny and ask. */
function documentOf(rules: number): OracleDocument {
  const half = Math.floor(rules / 2) - 5
  const read = Array.from({ length: half }, (_, index) => `/data/${index}/**`)
  const connect = Array.from({ length: half }, (_, index) => `dns:h${index}.example.org:443`)
  return {
    fs: {
      look: [],
      read,
      write: [],
      deny: { look: [], read: ['/data/1/secret/**', '/data/2/*.key'], write: [] },
      ask: { look: [], read: ['/data/3/ask/**'], write: [] },
    },
    net: {
      dns: [],
      connect,
      deny: { dns: ['bad.example.org'], connect: ['dns:h1.example.org:80'] },
      ask: { connect: ['dns:ask.example.org:443'] },
    },
    tools: { allow: ['git.*', 'search'], deny: ['git.push'], ask: [] },
  }
}

const load = (document: OracleDocument) =>
  loadPolicy(new TextEncoder().encode(JSON.stringify({ version: '1.0', ...document })), 'bench.json')

function questionsOf(document: OracleDocument): Question[] {
  const at = (index: number, list: readonly string[]): number => (index * 37) % list.length
  return Array.from({ length: 64 }, (_, index): Question => {
    switch (index % 4) {
      case 0:
        return { action: 'fs.read', object: `/data/${at(index, document.fs.read)}/sub/file.txt` }
      case 1:
        return { action: 'net.connect', object: `dns:h${at(index, document.net.connect)}.example.org:443` }
      case 2:
        return { action: 'fs.read', object: `/elsewhere/${index}/file.txt` }
      default:
        return { action: 'net.connect', object: `dns:unknown${index}.example.com:443` }
    }
  })
}

/** µs per call: the median of several rounds. */
function timed(calls: number, one: (index: number) => void): number {
  const rounds: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const began = performance.now()
    for (let index = 0; index < calls; index++) one(index)
    if (round > 0) rounds.push(((performance.now() - began) * 1000) / calls)
  }
  return median(rounds)
}

function decisionUs(document: OracleDocument): number {
  const policy = load(document)
  const questions = questionsOf(document)
  let allowed = 0
  const us = timed(DECISIONS, (index) => {
    if (policy.decide(questions[index % questions.length] ?? { action: 'fs.read', object: '/' }).allow) allowed++
  })
  if (allowed === 0) throw new Error('nothing was allowed: the benchmark measures the wrong thing')
  return us
}

export async function policySuite(): Promise<readonly Row[]> {
  const document = documentOf(200)
  const ours = decisionUs(document)
  preparse('bench', translate(document).allow)
  const calls = questionsOf(document).map((question) => callOf('bench', question))
  const cedar = timed(CEDAR_DECISIONS, (index) => {
    const call = calls[index % calls.length]
    if (call !== undefined) cedarAllows(call)
  })
  const few = decisionUs(documentOf(20))
  const many = decisionUs(documentOf(10_000))
  const large = documentOf(10_000)
  const loadMs = timed(1, () => void load(large)) / 1000
  return [
    atMost('decision on 200 rules against cedar-wasm, preparsed', `${ours.toFixed(2)} µs, Cedar ${cedar.toFixed(1)} µs`, ours / cedar, 0.5),
    atMost('decision on 10,000 rules against one on 20', `${many.toFixed(2)} µs, ${few.toFixed(2)} µs`, many / few, 2),
    atMost(`loading 10,000 rules against ${MAX_LOAD_MS} ms`, `${loadMs.toFixed(0)} ms`, loadMs / MAX_LOAD_MS, 1),
  ]
}
