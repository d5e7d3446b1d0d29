/** A real mount whose power can be cut: lossy-fs.c, compiled once. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SOURCES = ['lossy-fs.c', 'lossy-node.c', 'lossy-power.c'].map((file) => join(import.meta.dirname, file))
const HEADER = join(import.meta.dirname, 'lossy-fs.h')
const TOOLS = join(import.meta.dirname, '../../../.cache/tools')
const FLAGS = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', '-D_FILE_OFFSET_BITS=64', '-I/usr/include/fuse3']

/** Where the power fails: at the nth change from now on. Seed 0 loses all that was not synced, another one some of it. */
export interface PowerCut {
  readonly at: number
  readonly when: 'before' | 'after'
  readonly seed: number
}

export class LossyDisk {
  readonly folder: string
  readonly #daemon: ChildProcess
  readonly #switch: string

  private constructor(folder: string, daemon: ChildProcess) {
    this.folder = folder
    this.#daemon = daemon
    this.#switch = join(folder, '.lossy')
  }

  /** Throws where the machine has no FUSE: the message says what is missing. */
  static async mount(): Promise<LossyDisk> {
    const program = compiled()
    const folder = mkdtempSync(join(tmpdir(), 'authority-lossy-'))
    const daemon = spawn(program, [folder], { stdio: ['ignore', 'pipe', 'pipe'] })
    const said = await new Promise<string>((done) => {
      let text = ''
      const take = (data: Buffer): void => {
        text += data.toString()
        if (text.includes('ready')) done('ready')
      }
      daemon.stdout?.on('data', take)
      daemon.stderr?.on('data', take)
      daemon.once('exit', () => done(text))
    })
    if (said !== 'ready') {
      rmSync(folder, { recursive: true, force: true })
      throw new Error(`no FUSE file system can be mounted here: ${said.trim() || 'no reason given'}`)
    }
    return new LossyDisk(folder, daemon)
  }

  /** Changes made so far. */
  get changes(): number {
    return Number(/changes (\d+)/.exec(readFileSync(this.#switch, 'utf8'))?.[1])
  }

  /** The power has failed. */
  get dead(): boolean {
    return readFileSync(this.#switch, 'utf8').includes('dead 1')
  }

  cut({ at, when, seed }: PowerCut): void {
    writeFileSync(this.#switch, `cut ${at} ${when} ${seed}`)
  }

  /** The machine starts again, with what the disk kept. */
  on(): void {
    writeFileSync(this.#switch, 'on')
  }

  async unmount(): Promise<void> {
    const gone = new Promise<void>((done) => this.#daemon.once('exit', () => done()))
    const unmounted = process.getuid?.() === 0 ? ['umount', '-l'] : ['fusermount3', '-u', '-z']
    const [tool = '', ...flags] = unmounted
    spawnSync(tool, [...flags, this.folder])
    this.#daemon.kill('SIGTERM')
    await gone
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Why no such disk can be had on this machine, or null. */
export async function whyNoLossyDisk(): Promise<string | null> {
  try {
    const disk = await LossyDisk.mount()
    await disk.unmount()
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Kept beside the other tools set-up made, under the digest of what it was made from: a worker of the tests is killed and could not clean up. */
function compiled(): string {
  const digest = createHash('sha256').update(FLAGS.join(' '))
  for (const file of [HEADER, ...SOURCES]) digest.update(readFileSync(file))
  const made = join(TOOLS, `lossy-fs-${digest.digest('hex').slice(0, 16)}`)
  if (existsSync(made)) return made
  mkdirSync(TOOLS, { recursive: true })
  const making = `${made}.${process.pid}`
  const { status, stderr } = spawnSync('gcc', [...FLAGS, '-o', making, ...SOURCES, '-lfuse3'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`kernel/audit/testing/lossy-fs.c could not be compiled (gcc and libfuse3-dev are needed): ${stderr}`)
  renameSync(making, made)
  return made
}
