import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import { parseResolver } from '../config/index.ts'
import { build } from '../embedded/build-info.ts'
import { CliError } from '../runs/errors.ts'
import { assertExpected } from '../runs/expectations.ts'
import { checkMounts } from '../runs/mount-check.ts'
import { reconcileHome } from '../runs/reconcile.ts'
import { createRunFolder, discardUnstarted } from '../runs/registry.ts'
import type { ServeSpec, StartFacts } from '../runs/run-spec.ts'
import { assertFree, defaultSocket, serve } from '../runs/serve.ts'
import { markLine, startLine } from '../ui/run-lines.ts'
import { safe } from '../ui/text.ts'
import { approvalDesk } from './approver.ts'
import { authoritiesOf } from './authorities.ts'
import { parseBudgets } from './budgets.ts'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import { mountsOf } from './mounts.ts'
import { publishedPorts } from './published.ts'
import { reportRun } from './run-result.ts'
import { homeOf, hostPairs } from './shared.ts'
import type { GATE_SERVE } from './verbs.ts'

const GATE_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/

export const command: Command<typeof GATE_SERVE> = async ({ flags, rest }, context) => {
  const { cwd, env, terminal } = context
  if (flags.policy === undefined)
    throw new CliError('usage', '--policy FILE is missing', 'a gate without a policy would deny everything: `authority help gate serve`')
  if (rest !== null && rest.length === 0) throw new CliError('usage', 'CMD is missing after `--`', 'name a program, or leave out `--`')
  const policy = policyOfFile(flags.policy, flags.host, cwd)
  const socketGiven = flags.socket === undefined ? null : resolve(cwd, flags.socket)
  if (socketGiven !== null) assertFree(socketGiven)
  if (flags.keep !== undefined && !GATE_NAME.test(flags.keep))
    throw new CliError('usage', `\`${flags.keep}\` cannot be the name of a gate`, 'lower-case letters, digits and dashes, up to 64')
  const mounts = mountsOf(flags.volume, cwd)
  const budgets = parseBudgets(flags.budget)

  const home = homeOf(context)
  checkMounts(mounts, home.path)
  // Nothing is passed by name here: a command has the environment this one has, and without a command there is none.
  const given = { image: rest === null ? [] : Object.keys(env), env: [] }
  assertExpected(
    policy.loaded,
    { given, mounts },
    'a gate has no -e: a command after `--` has the environment you have; or change `env` and `mounts` of the policy',
  )
  for (const notice of await reconcileHome(home)) terminal.note(`authority: note: ${safe(notice)}`)
  const run = randomBytes(16).toString('hex')
  const folder = createRunFolder(home, run)
  const socket = socketGiven === null ? defaultSocket(folder) : { path: socketGiven, remove: () => undefined }
  const spec: ServeSpec = {
    format: 1,
    kind: 'serve',
    run,
    home: home.path,
    build: `${build.version}+${build.commit}`,
    program: rest?.[0] ?? 'gate serve',
    policy: { base64: Buffer.from(policy.bytes).toString('base64'), source: resolve(cwd, flags.policy), includes: policy.includes },
    socket: socket.path,
    ...(flags.keep === undefined ? {} : { keep: join(home.path, 'gates', flags.keep) }),
    hosts: hostPairs(flags.host),
    resolver: parseResolver(flags.resolver),
    authorities: authoritiesOf(flags.ca, [], cwd),
    published: publishedPorts(flags.publish),
    given,
    budgets,
    mounts,
    guarded: [resolve(cwd, flags.policy), ...policy.paths],
  }
  const began: { start: StartFacts | null } = { start: null }
  const desk = approvalDesk({
    run,
    hook: flags['approve-with'],
    quiet: false,
    // CMD has our stdin.
    shared: rest !== null && process.stdin.isTTY === true,
    note: (text) => terminal.note(`authority: note: ${safe(text)}`),
  })
  try {
    const end = await serve(spec, {
      self: [process.execPath],
      env,
      command: rest,
      onStart: (start) => {
        began.start = start
        if (flags.json !== true) terminal.note(startLine(start, terminal.style))
      },
      onServing: (path) => {
        if (rest === null) terminal.note(`authority: serving at AUTHORITY_SOCKET=${safe(path)} (stop with Ctrl-C)`)
      },
      onMark: (mark) => terminal.note(`authority: note: ${safe(markLine(mark))}`),
      onApproval: desk.ask,
      onSettled: desk.settled,
    })
    reportRun({ start: began.start, end, json: flags.json, context })
    return end.exitCode
  } finally {
    desk.close()
    discardUnstarted(home, run)
    socket.remove()
  }
}
