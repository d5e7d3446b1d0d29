// Installs what is missing on a fresh machine, names every step with its size, and touches no network the second time.
// Plain Node ≥ 20 without dependencies. Usage: node .ci/setup.mjs [--for demo|build|check|test]
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUN, BUN_PACKAGE, BUN_VERSION, CACHE, DEBIAN_PACKAGES, NEEDS, PYTHON, ROOT, VENV } from './toolchain.mjs'

const PYTEST = 'pytest==8.4.2'
/** Clients that are run in a machine against servers of the tests, and what they need. */
const PYTHON_CLIENTS = [
  'requests==2.34.2',
  'urllib3==2.8.0',
  'certifi==2026.10.19.post1',
  'charset-normalizer==3.5.3',
  'idna==3.20',
  'httpx==0.28.1',
  'httpcore==1.0.9',
  'h11==0.16.0',
  'anyio==4.16.0',
  'typing_extensions==4.16.0',
  'websockets==17.4',
]
const PYTHON_PACKAGES = [PYTEST, ...PYTHON_CLIENTS]
const APT_LOCK_WAIT_S = 600
const STEP_DEADLINE_MS = 15 * 60 * 1000

const flag = process.argv.indexOf('--for')
const purpose = flag < 0 ? 'test' : process.argv[flag + 1]
const needs = NEEDS[purpose]
if (!needs) fail(`unknown purpose \`${purpose}\``, `use one of: ${Object.keys(NEEDS).join(', ')}`)
if (!BUN_PACKAGE) fail(`no Bun for ${process.platform} on ${process.arch}`, 'use Linux or macOS on x86_64 or arm64')

const wanted = needs.debian.flatMap((group) => DEBIAN_PACKAGES[group])
const stamp = join(CACHE, `setup-${purpose}.stamp`)
const key = fingerprint()
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === key && existsSync(BUN) && existsSync(join(ROOT, 'node_modules'))) process.exit(0)

mkdirSync(CACHE, { recursive: true })
installDebianPackages()
installBun()
installWorkspaces()
if (needs.python) installPython()
writeFileSync(stamp, key)

function fingerprint() {
  const hash = createHash('sha256').update(BUN_VERSION).update(PYTHON_PACKAGES.join(' ')).update(wanted.join(' '))
  for (const file of ['bun.lock', 'package.json', '.ci/toolchain.mjs']) hash.update(readFileSync(join(ROOT, file)))
  return hash.digest('hex')
}

function installDebianPackages() {
  const missing = wanted.filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  if (!has('apt-get'))
    fail(
      `missing programs: ${missing.join(' ')}`,
      'this set-up knows Debian and Ubuntu; install their equivalents by hand, then run the command again',
    )
  if (process.getuid() !== 0)
    fail(
      `missing Debian packages: ${missing.join(' ')}`,
      `type this, then run the command again:\n\n    sudo apt-get install --no-install-recommends -y ${missing.join(' ')}\n`,
    )
  const apt = ['-o', `DPkg::Lock::Timeout=${APT_LOCK_WAIT_S}`, '-y', '--no-install-recommends']
  let plan = run('apt-get', [...apt, '--print-uris', 'install', ...missing], { quiet: true, mayFail: true })
  if (plan.status !== 0) {
    step('package lists (about 10 MB)')
    run('apt-get', ['-o', `DPkg::Lock::Timeout=${APT_LOCK_WAIT_S}`, 'update', '-qq'])
    plan = run('apt-get', [...apt, '--print-uris', 'install', ...missing], { quiet: true })
  }
  step(`Debian packages ${missing.join(' ')} (${megabytes(sumOfUris(plan.stdout))} to download)`)
  const install = () =>
    run('apt-get', [...apt, '-qq', 'install', ...missing], { mayFail: true, env: { DEBIAN_FRONTEND: 'noninteractive' } })
  if (install().status !== 0) {
    // Stale lists name files the mirror no longer has: update once, then it must work.
    run('apt-get', ['-o', `DPkg::Lock::Timeout=${APT_LOCK_WAIT_S}`, 'update', '-qq'])
    if (install().status !== 0) fail('apt-get could not install the packages', `see its output above; packages: ${missing.join(' ')}`)
  }
}

function installBun() {
  if (existsSync(BUN) && run(BUN, ['--version'], { quiet: true, mayFail: true }).stdout.trim() === BUN_VERSION) return
  step(`Bun ${BUN_VERSION} (about 40 MB) into .cache/bun`)
  const folder = join(CACHE, 'bun')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  // The platform package alone is the whole program; the `bun` package would run an install script.
  run('npm', [
    'install',
    '--prefix',
    folder,
    '--no-audit',
    '--no-fund',
    '--no-save',
    '--ignore-scripts',
    `@oven/${BUN_PACKAGE}@${BUN_VERSION}`,
  ])
  if (!existsSync(BUN)) fail('Bun is not where npm should have put it', `look into ${folder}`)
}

function installWorkspaces() {
  step('JavaScript packages from bun.lock (about 70 MB, 210 MB unpacked)')
  run(BUN, ['install', '--frozen-lockfile', '--silent'])
}

function installPython() {
  if (existsSync(PYTHON) && hasPythonPackages()) return
  step('Python test environment (about 25 MB) into .cache/venv')
  rmSync(VENV, { recursive: true, force: true })
  const interpreter = ['/usr/bin/python3', 'python3'].find(
    (p) => run(p, ['-c', 'import ensurepip, venv'], { quiet: true, mayFail: true }).status === 0,
  )
  if (!interpreter) fail('no python3 with venv and ensurepip', 'install python3-venv')
  run(interpreter, ['-m', 'venv', VENV])
  run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PYTHON_PACKAGES])
}

/** In exactly these versions. */
function hasPythonPackages() {
  const wanted = PYTHON_PACKAGES.map((each) => each.split('==')).map(
    ([name, version]) => `version(${JSON.stringify(name)}) == ${JSON.stringify(version)}`,
  )
  const question = `from importlib.metadata import version; import sys; sys.exit(0 if ${wanted.join(' and ')} else 1)`
  return run(PYTHON, ['-c', question], { quiet: true, mayFail: true }).status === 0
}

function isInstalled(name) {
  const query = run('dpkg-query', ['-s', name], { quiet: true, mayFail: true })
  return query.status === 0 && query.stdout.includes('\nStatus: install ok installed')
}

function has(program) {
  return (process.env.PATH ?? '').split(':').some((dir) => dir && existsSync(join(dir, program)))
}

function sumOfUris(text) {
  return text.split('\n').reduce((sum, line) => sum + (/^'/.test(line) ? Number(line.split(' ')[2]) : 0), 0)
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function step(what) {
  process.stderr.write(`setup: ${what}\n`)
}

function run(program, args, { quiet = false, mayFail = false, env = {} } = {}) {
  const done = spawnSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: STEP_DEADLINE_MS,
    env: { ...process.env, ...env },
    // Their chatter goes to stderr: stdout belongs to what runs after set-up.
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 2, 2],
  })
  if (done.status !== 0 && !mayFail)
    fail(`\`${program} ${args.join(' ')}\` failed`, done.error ? String(done.error.message) : (done.stderr ?? 'see its output above'))
  return { status: done.status, stdout: done.stdout ?? '' }
}

function fail(cause, hint) {
  process.stderr.write(`setup: ${cause}\n  ${hint}\n`)
  process.exit(1)
}
